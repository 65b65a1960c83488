-- What `kvitt check` proves of views: the figures that pages show are those that the tables give, counted another way. Each returns the number
-- of a case or null, an id, and what is wrong.

-- name: orders
-- Orders that the view shows otherwise than they, their lines, their checks and their contradictions are.
WITH lines AS (
    SELECT order_id, count(*) AS lines FROM order_lines GROUP BY order_id
), held AS (
    SELECT DISTINCT o.order_id
    FROM orders AS o
    CROSS JOIN LATERAL jsonb_array_elements(o.held_for) AS r (reason)
    LEFT JOIN order_checks AS k ON k.order_id = o.order_id AND k.ended_at IS NULL
    WHERE o.held_for <> '[]' AND (r.reason ->> 'kind' <> 'unchecked' OR k.times_asked >= 12)
)
SELECT coalesce(v.case_no, o.case_no), coalesce(v.order_id, o.order_id)::text, 'stands otherwise in the view of orders'
FROM kvitt_views.orders AS v
FULL JOIN orders AS o USING (order_id)
LEFT JOIN lines AS l USING (order_id)
LEFT JOIN held AS h USING (order_id)
LEFT JOIN contradictions AS k ON k.order_id = o.order_id AND k.resolved_at IS NULL
WHERE (v.state, v.sum_kroner, v.lines, v.is_held, v.day) IS DISTINCT FROM
      (o.state, o.sum_kroner, coalesce(l.lines, 0), h.order_id IS NOT NULL, o.day)
   OR (v.made_at, v.sending_at, v.sent_at, v.settled_at) IS DISTINCT FROM (o.made_at, o.sending_at, o.sent_at, o.settled_at)
   OR (v.resends, v.was_unknown, v.decided_by_hand, v.taken_back, v.receipt_no, v.rail_says) IS DISTINCT FROM
      (o.resends, o.was_unknown, o.decided_by_hand, o.taken_back, o.receipt_no, k.rails);

-- name: cases
-- Cases that the view shows with other figures than their orders, messages and contradictions give; how many orders were made is theirs to say,
-- since a case that moved has used up a number without an order.
SELECT case_no, 'case ' || case_no, 'stands otherwise in the view of cases'
FROM kvitt_views.cases AS v
FULL JOIN cases AS c USING (case_no)
LEFT JOIN (
    SELECT case_no, count(*) AS open FROM orders WHERE state IN ('ready', 'sending', 'sent', 'unknown') GROUP BY case_no
) AS o USING (case_no)
LEFT JOIN (SELECT case_no, count(*) AS queued FROM messages WHERE state = 'queued' GROUP BY case_no) AS m USING (case_no)
LEFT JOIN (SELECT case_no, count(*) AS open FROM contradictions WHERE resolved_at IS NULL GROUP BY case_no) AS k USING (case_no)
WHERE (v.orders_made, v.open_orders, v.queued_messages, v.contradictions) IS DISTINCT FROM
      (c.orders_made, coalesce(o.open, 0), coalesce(m.queued, 0), coalesce(k.open, 0))
   OR (v.last_at, v.has_unknown_payments, v.cap_kroner) IS DISTINCT FROM (c.last_at, coalesce(array_length(c.unknown, 1), 0) > 0, c.cap_kroner);

-- name: order_lines
-- Lines that the view shows with other amounts or days than they have.
SELECT NULL::bigint, order_id || ' line ' || position, 'stands otherwise in the view of lines'
FROM kvitt_views.order_lines AS v
FULL JOIN order_lines AS l USING (order_id, position)
WHERE (v.amount_kroner, v.decided_rate_kroner, v.rate_type, v.start_on, v.end_on, v.ceased_from) IS DISTINCT FROM
      (l.amount, l.decided_rate, l.rate_type, l.start_on, l.end_on, l.ceased_from);

-- name: payment_periods
-- Payments in force whose periods add up to something else than their documents do.
WITH shown AS (
    SELECT case_no, payment_id, version, count(*) AS periods, sum(amount_kroner) AS kroner, sum(decided_rate_kroner) AS rates,
           min(start_on) AS first_day, max(end_on) AS last_day
    FROM kvitt_views.payment_periods GROUP BY case_no, payment_id, version
), given AS (
    SELECT p.case_no, p.payment_id, p.version, count(*) AS periods, sum(e.amount_kroner) AS kroner, sum(e.decided_rate_kroner) AS rates,
           min(e.start) AS first_day, max(e."end") AS last_day
    FROM payments AS p
    CROSS JOIN LATERAL jsonb_to_recordset(convert_from(p.document, 'UTF8')::jsonb -> 'periods')
        AS e (start date, "end" date, amount_kroner bigint, decided_rate_kroner bigint)
    WHERE p.state = 'accepted' AND NOT p.superseded AND p.action IN ('CREATE', 'UPDATE')
    GROUP BY p.case_no, p.payment_id, p.version
)
SELECT case_no, payment_id || ' version ' || version, 'has other periods in the view than in its document'
FROM shown AS v FULL JOIN given AS g USING (case_no, payment_id, version)
WHERE (v.periods, v.kroner, v.rates, v.first_day, v.last_day) IS DISTINCT FROM (g.periods, g.kroner, g.rates, g.first_day, g.last_day);

-- name: payments
-- Versions of payments in another state in the view than they have.
SELECT case_no, payment_id || ' version ' || version, 'is in another state in the view'
FROM (SELECT case_no, payment_id, version, order_id, state, superseded, is_in_force FROM kvitt_views.payments) AS v
FULL JOIN (SELECT case_no, payment_id, version, order_id, state, superseded,
                  CASE WHEN action = 'DELETE' OR superseded THEN false ELSE state = 'accepted' END AS is_in_force
           FROM payments) AS p USING (case_no, payment_id, version)
WHERE (v.order_id, v.state, v.superseded, v.is_in_force) IS DISTINCT FROM (p.order_id, p.state, p.superseded, p.is_in_force);

-- name: payment_spans
-- Versions of payments whose spans add up to something else than their documents do, or are in another state.
WITH shown AS (
    SELECT case_no, payment_id, version, count(*) AS spans, sum(amount_kroner) AS kroner, min(start_on) AS first_day, max(end_on) AS last_day,
           min(state) || max(state) AS states, bool_or(superseded) AS superseded, bool_or(is_in_force) AS is_in_force
    FROM kvitt_views.payment_spans GROUP BY case_no, payment_id, version
), given AS (
    SELECT p.case_no, p.payment_id, p.version, count(*) AS spans, sum(e.amount_kroner) AS kroner, min(e.start) AS first_day,
           max(e."end") AS last_day, p.state || p.state AS states, p.superseded, p.state = 'accepted' AND NOT p.superseded AS is_in_force
    FROM payments AS p
    CROSS JOIN LATERAL jsonb_to_recordset(convert_from(p.document, 'UTF8')::jsonb -> 'periods')
        AS e (start date, "end" date, amount_kroner bigint)
    WHERE p.action IN ('CREATE', 'UPDATE')
    GROUP BY p.case_no, p.payment_id, p.version
)
SELECT case_no, payment_id || ' version ' || version, 'has other spans in the view than in its document'
FROM shown AS v FULL JOIN given AS g USING (case_no, payment_id, version)
WHERE (v.spans, v.kroner, v.first_day, v.last_day, v.states, v.superseded, v.is_in_force)
      IS DISTINCT FROM (g.spans, g.kroner, g.first_day, g.last_day, g.states, g.superseded, g.is_in_force);

-- name: held_orders
-- Open orders whose reasons the view shows otherwise than they have.
SELECT case_no, order_id::text, 'is held for other reasons in the view'
FROM (SELECT case_no, order_id, count(*) AS reasons, min(sum_kroner) AS least, max(sum_kroner) AS most, max(state) AS state
      FROM kvitt_views.held_orders GROUP BY case_no, order_id) AS v
FULL JOIN (SELECT case_no, order_id, jsonb_array_length(held_for) AS reasons, sum_kroner, state
           FROM orders WHERE state IN ('ready', 'sending', 'sent', 'unknown') AND held_for <> '[]') AS o USING (case_no, order_id)
WHERE (v.reasons, v.least, v.most, v.state) IS DISTINCT FROM (o.reasons, o.sum_kroner, o.sum_kroner, o.state);

-- name: attention
-- What needs a person, where the view has it and the tables do not, or with another amount or another time; and the other way round.
WITH held AS (
    SELECT o.order_id
    FROM orders AS o
    LEFT JOIN order_checks AS k ON k.order_id = o.order_id AND k.ended_at IS NULL AND k.times_asked >= 12
    WHERE o.state = 'ready' AND o.held_for <> '[]'
      AND (k.order_id IS NOT NULL OR EXISTS (SELECT FROM jsonb_array_elements(o.held_for) AS r (reason) WHERE r.reason ->> 'kind' <> 'unchecked'))
), given (what, case_no, order_id, other_no, area, since, sum_kroner) AS (
    SELECT 'order held', o.case_no, o.order_id, NULL::bigint, o.area, o.made_at, o.sum_kroner FROM orders AS o JOIN held USING (order_id)
    UNION ALL
    SELECT 'sending stopped', NULL, NULL, NULL, s.area, s.stopped_at, NULL FROM stops AS s
    UNION ALL
    SELECT 'order unknown', o.case_no, o.order_id, NULL, o.area, coalesce(o.sent_at, o.sending_at, o.made_at), o.sum_kroner
    FROM orders AS o WHERE o.state = 'unknown'
    UNION ALL
    SELECT 'receipt late', o.case_no, o.order_id, NULL, o.area, a.sent_at, o.sum_kroner
    FROM alarms AS a JOIN orders AS o USING (order_id) WHERE a.cleared_at IS NULL AND o.state = 'sent'
    UNION ALL
    SELECT 'contradiction', o.case_no, o.order_id, NULL, o.area, k.found_at, o.sum_kroner
    FROM contradictions AS k JOIN orders AS o USING (order_id) WHERE k.resolved_at IS NULL
    UNION ALL
    SELECT 'dead letter', NULL, NULL, NULL, NULL, d.at, NULL FROM dead_letters AS d WHERE d.state = 'open'
    UNION ALL
    SELECT 'receipt ' || r.outcome, o.case_no, r.order_id, NULL, o.area, r.received_at, o.sum_kroner
    FROM receipts AS r LEFT JOIN orders AS o USING (order_id)
    WHERE r.closed_at IS NULL
      AND (r.outcome IN ('unreadable', 'unmatched', 'returned', 'cancelled')
           OR r.outcome = 'unclear' AND o.state IN ('ready', 'sending', 'sent', 'unknown'))
    UNION ALL
    SELECT 'payout at another ledger', NULL, NULL, NULL, NULL, s.made_at, NULL FROM payouts.saga_steps AS s WHERE s.closed_at IS NULL
    UNION ALL
    SELECT DISTINCT 'reconciliation unknown', NULL::bigint, NULL::uuid, NULL::bigint, n.area, n.made_at, NULL::bigint
    FROM reconciliation_messages AS m JOIN reconciliation_runs AS n USING (run_no) WHERE m.state = 'unknown' AND n.state = 'made'
    UNION ALL
    SELECT 'approval asked', NULL, NULL, a.approval_no, NULL, a.asked_at, NULL FROM approvals AS a WHERE a.state = 'asked' AND a.lapses_at > now()
    UNION ALL
    SELECT 'rail silent', NULL, NULL, NULL, NULL, r.since, NULL FROM rail_alarms AS r WHERE r.cleared_at IS NULL
    UNION ALL
    SELECT 'reconciliation late', NULL, NULL, NULL, r.area, r.since, NULL FROM reconciliation_alarms AS r WHERE r.cleared_at IS NULL
    UNION ALL
    SELECT 'job failed', NULL, NULL, NULL, NULL, coalesce(j.last_due, j.next_due), NULL FROM jobs AS j WHERE j.state = 'failed'
)
SELECT w.case_no, coalesce(w.order_id::text, w.other_no::text, w.area, w.what),
       w.what || CASE WHEN sum(w.rows) > 0 THEN ' is shown, and is not so' ELSE ' is so, and is not shown' END
FROM (
    SELECT 1 AS rows, what, case_no, order_id, approval_no AS other_no, area, since, sum_kroner FROM kvitt_views.attention
    UNION ALL
    SELECT -1, what, case_no, order_id, other_no, area, since, sum_kroner FROM given
) AS w
GROUP BY w.what, w.case_no, w.order_id, w.other_no, w.area, w.since, w.sum_kroner
HAVING sum(w.rows) <> 0;

-- name: backlogs
-- Kinds of unfinished work of which the view counts others than there are, up to its bound; or whose oldest is not the oldest, where all are counted.
WITH given (what, at) AS (
    SELECT 'published', made_at FROM outbox WHERE relayed_at IS NULL
    UNION ALL
    SELECT 'messages', received_at FROM messages WHERE state IN ('received', 'queued', 'derived')
    UNION ALL
    SELECT 'dead letters', at FROM dead_letters WHERE state = 'open'
    UNION ALL
    SELECT 'deferred', came_at FROM deferred WHERE taken_at IS NULL
    UNION ALL
    SELECT 'orders ' || state, made_at FROM orders WHERE state IN ('ready', 'sending', 'sent', 'unknown')
)
SELECT NULL::bigint, what, 'is counted otherwise in the view of what is unfinished'
FROM (SELECT what, sum(rows) AS rows, bool_or(is_at_least) AS is_at_least, min(oldest) AS oldest FROM kvitt_views.backlogs GROUP BY what) AS v
FULL JOIN (SELECT what, count(*) AS rows, min(at) AS oldest, max(at) AS newest FROM given GROUP BY what) AS g USING (what)
WHERE (v.rows, v.is_at_least) IS DISTINCT FROM (least(g.rows, 1001), g.rows > 1000)
   OR v.oldest NOT BETWEEN g.oldest AND CASE WHEN g.rows > 1000 THEN g.newest ELSE g.oldest END;

-- name: receipts
-- Receipts of which the view says otherwise whether they wait for a person, or how large they are.
SELECT o.case_no, coalesce(v.receipt_no, r.receipt_no)::text, 'stands otherwise in the view of receipts'
FROM kvitt_views.receipts AS v
FULL JOIN receipts AS r USING (receipt_no)
LEFT JOIN orders AS o ON o.order_id = r.order_id
LEFT JOIN (SELECT order_id, bool_or(resolved_at IS NULL) AS is_open FROM contradictions GROUP BY order_id) AS k ON k.order_id = r.order_id
WHERE (v.outcome, v.severity, v.code, v.size, v.by_hand) IS DISTINCT FROM
      (r.outcome, r.severity, r.code, octet_length(r.body), starts_with(r.message_id, 'operator-'))
   OR v.is_open IS DISTINCT FROM (r.closed_at IS NULL AND CASE
          WHEN r.outcome IN ('unreadable', 'unmatched', 'returned', 'cancelled') THEN true
          WHEN r.outcome = 'unclear' THEN coalesce(o.state IN ('ready', 'sending', 'sent', 'unknown'), false)
          WHEN r.outcome = 'contradicts' THEN coalesce(k.is_open, true)
          ELSE false END);

-- name: reconciliations
-- Runs that the view shows with other totals than they have, or with another number of messages sent.
SELECT NULL::bigint, run_no::text, 'stands otherwise in the view of reconciliations'
FROM kvitt_views.reconciliations AS v
FULL JOIN reconciliation_runs AS n USING (run_no)
LEFT JOIN (SELECT run_no, count(*) AS sent FROM reconciliation_messages WHERE state = 'sent' GROUP BY run_no) AS m USING (run_no)
WHERE (v.state, v.orders, v.messages, v.messages_sent, v.cases, v.lines, v.kroner) IS DISTINCT FROM
      (n.state, n.orders, n.messages, coalesce(m.sent, 0), n.cases, n.lines, n.kroner)
   OR (v.accepted, v.warned, v.rejected, v.missing) IS DISTINCT FROM (n.accepted, n.warned, n.rejected, n.missing)
   OR (v.accepted_kroner, v.warned_kroner, v.rejected_kroner, v.missing_kroner) IS DISTINCT FROM
      (n.accepted_kroner, n.warned_kroner, n.rejected_kroner, n.missing_kroner);

-- name: reconciled_orders
-- Orders that the view shows as reported otherwise than they were, or in another state or with another sum than they have.
SELECT o.case_no, order_id::text, 'stands otherwise in the view of reported orders'
FROM kvitt_views.reconciled_orders AS v
FULL JOIN reconciled_orders AS e USING (run_no, order_id)
LEFT JOIN reconciliation_runs AS n USING (run_no)
LEFT JOIN orders AS o USING (order_id)
WHERE (v.bucket, v.order_state, v.sum_kroner, v.run_state, v.run_made_at, v.settled_at, v.decided_by_hand) IS DISTINCT FROM
      (e.bucket, o.state, o.sum_kroner, n.state, n.made_at, o.settled_at, o.decided_by_hand);

-- name: order_check_differences
-- Orders whose differences the view adds up otherwise than they are noted.
SELECT NULL::bigint, order_id::text, 'differs otherwise in the view'
FROM (SELECT order_id, count(*) AS differences, sum(expected_kroner) AS expected, sum(simulated_kroner) AS simulated
      FROM kvitt_views.order_check_differences GROUP BY order_id) AS v
FULL JOIN (SELECT k.order_id, count(*) AS differences, coalesce(sum(d.expected_kroner), 0) AS expected,
                  coalesce(sum(d.simulated_kroner), 0) AS simulated
           FROM order_checks AS k
           CROSS JOIN LATERAL jsonb_to_recordset(k.differences) AS d (expected_kroner bigint, simulated_kroner bigint)
           GROUP BY k.order_id) AS g USING (order_id)
WHERE (v.differences, v.expected, v.simulated) IS DISTINCT FROM (g.differences, g.expected, g.simulated);

-- name: message_hours
-- Hours within which the view shows more or fewer messages of a scheme than came in, of those that it has come to.
SELECT NULL::bigint, concat_ws(' ', scheme, hour), 'is counted otherwise in the view of hours'
FROM (SELECT scheme, hour, sum(messages) AS messages FROM kvitt_views.message_hours GROUP BY scheme, hour) AS v
FULL JOIN (
    SELECT scheme, date_trunc('hour', received_at, 'UTC') AS hour, count(*) AS messages
    FROM messages
    WHERE NOT dry_run AND message_no <= coalesce(
        (SELECT n.message_no FROM messages AS n WHERE n.message_no > (SELECT counted_to FROM counted_messages)
         ORDER BY n.message_no OFFSET 4999 LIMIT 1), 9223372036854775807)
    GROUP BY 1, 2
) AS g USING (scheme, hour)
WHERE v.messages IS DISTINCT FROM g.messages;

-- name: open_sums
-- Open orders that the view adds up otherwise than they add up.
SELECT NULL::bigint, concat_ws(' ', rail, area, state), 'adds up otherwise in the view of open sums'
FROM (SELECT rail, area, state, is_free, since, count(*) AS orders, sum(sum_kroner) AS kroner
      FROM kvitt_views.open_sums GROUP BY rail, area, state, is_free, since) AS v
FULL JOIN (SELECT rail, area, state, held_for = '[]' AS is_free, coalesce(sent_at, made_at) AS since, count(*) AS orders, sum(sum_kroner) AS kroner
           FROM orders WHERE state IN ('ready', 'sending', 'sent', 'unknown')
           GROUP BY rail, area, state, held_for = '[]', coalesce(sent_at, made_at)) AS g USING (rail, area, state, is_free, since)
WHERE (v.orders, v.kroner) IS DISTINCT FROM (g.orders, g.kroner);

-- name: dead_letters
-- Dead letters that the view shows in another state than theirs, or larger or smaller than they are.
SELECT NULL::bigint, dead_no::text, 'stands otherwise in the view of dead letters'
FROM kvitt_views.dead_letters AS v
FULL JOIN dead_letters AS d USING (dead_no)
WHERE (v.state, v.size, v.at, v.closed_at) IS DISTINCT FROM (d.state, octet_length(d.body), d.at, d.closed_at);

-- name: topic_partitions
-- Partitions of the embedded log that the view shows with another next position than theirs.
SELECT NULL::bigint, topic || '/' || partition, 'has another next position in the view'
FROM kvitt_views.topic_partitions AS v
FULL JOIN log_partitions AS l USING (topic, partition)
WHERE v.next_position IS DISTINCT FROM l.next_position;

-- name: source_hours
-- Hours in which a source used more or less of its limit than its orders count, from where each order says what it counts.
WITH given AS (
    SELECT h.source, h.hour, CASE WHEN h.hour < p.from_hour THEN h.kroner ELSE 0 END AS kroner
    FROM source_hours AS h CROSS JOIN source_hours_proved AS p
    UNION ALL
    SELECT o.source, o.hour, o.kroner FROM limited_orders AS o CROSS JOIN source_hours_proved AS p WHERE o.hour >= p.from_hour
)
SELECT NULL::bigint, concat_ws(' ', source, hour), 'adds up otherwise in the view of limits used'
FROM (SELECT source, hour, sum(kroner) AS kroner, count(*) AS rows FROM kvitt_views.source_hours GROUP BY source, hour) AS v
FULL JOIN (SELECT source, hour, sum(kroner) AS kroner FROM given GROUP BY source, hour) AS g USING (source, hour)
WHERE (v.kroner, v.rows) IS DISTINCT FROM (g.kroner, 1);

-- name: failure_texts
-- Messages that failed by their calls, or by their answers read as JSON, and are not among the failures, or with another text or time; and the
-- other way round. An answer with a character that the server's JSON does not know is passed by.
WITH answers AS (
    SELECT m.message_no, m.received_at, CASE WHEN position('\u0000' IN a.answer) = 0 THEN a.answer::jsonb END AS said
    FROM messages AS m
    CROSS JOIN LATERAL convert_from(m.answer, 'UTF8') AS a (answer)
    WHERE m.state = 'answered' AND (position('FEIL'::bytea IN m.answer) > 0 OR position('AVVIST'::bytea IN m.answer) > 0
                                    OR position('STENGT'::bytea IN m.answer) > 0)
), failed AS (
    SELECT message_no, received_at, false AS is_passed_by, jsonb_path_query_first(
        said, '$.** ? (@.type() == "object").keyvalue() ? (@.key == "msg" || @.key == "beskrivelse" || @.key == "feilmelding" || @.key == "text").value ? (@.type() == "string")'
    )::text AS text
    FROM answers
    WHERE said @? '$.**.status ? (@ == "FEILET" || @ == "FEILET_MOT_OPPDRAG" || @ == "AVVIST" || @ == "FEIL" || @ == "FUNKSJONELL_FEIL"
                                  || @ == "TEKNISK_FEIL" || @ == "OPPDRAG_UR_ER_STENGT")'
    UNION ALL
    SELECT message_no, received_at, true, NULL FROM answers WHERE said IS NULL
), given AS (
    SELECT message_no, coalesce(f.received_at, m.received_at) AS received_at, coalesce(f.is_passed_by, false) AS is_passed_by,
           coalesce(d.refused_text, substring(f.text FROM 2 FOR length(f.text) - 2), '') AS text
    FROM failed AS f
    FULL JOIN (SELECT message_no, refused_text FROM decisions WHERE outcome = 'refused') AS d USING (message_no)
    LEFT JOIN messages AS m USING (message_no)
)
SELECT NULL::bigint, message_no::text, 'failed otherwise in the view of failures'
FROM (SELECT message_no, min(received_at) AS received_at, min(text) AS text, count(*) AS rows FROM kvitt_views.failure_texts GROUP BY message_no) AS v
FULL JOIN given AS g USING (message_no)
WHERE g.is_passed_by IS NOT TRUE AND (v.received_at, v.text, v.rows) IS DISTINCT FROM (g.received_at, g.text, 1);

-- name: stuck
-- Orders behind a stop, messages in the line of a case and what came while it was locked, where the view has them and the tables do not, or with
-- another amount or another time; and the other way round. All else that is stuck is proved as what needs a person.
WITH given (what, order_id, message_no, since, sum_kroner) AS (
    SELECT 'sending stopped', o.order_id, o.message_no, greatest(o.made_at, s.stopped_at), o.sum_kroner
    FROM orders AS o
    JOIN stops AS s ON (s.rail = o.rail OR s.rail = '*') AND (s.area = o.area OR s.area = '*')
    WHERE o.state = 'ready'
      AND NOT EXISTS (
          SELECT FROM jsonb_array_elements(o.held_for) AS r (reason)
          WHERE r.reason ->> 'kind' <> 'unchecked'
             OR EXISTS (SELECT FROM order_checks AS k WHERE k.order_id = o.order_id AND k.ended_at IS NULL AND k.times_asked >= 12)
      )
    UNION ALL
    SELECT 'message queued', NULL, m.message_no, m.received_at, NULL FROM messages AS m WHERE m.state = 'queued'
    UNION ALL
    SELECT 'case locked', NULL, NULL, d.came_at, NULL FROM deferred AS d WHERE d.taken_at IS NULL
)
SELECT NULL::bigint, coalesce(w.order_id::text, w.message_no::text, w.what),
       w.what || CASE WHEN sum(w.rows) > 0 THEN ' is shown, and is not so' ELSE ' is so, and is not shown' END
FROM (
    SELECT 1 AS rows, what, order_id, message_no, since, sum_kroner FROM kvitt_views.stuck
    WHERE what IN ('sending stopped', 'message queued', 'case locked')
    UNION ALL
    SELECT -1, what, order_id, message_no, since, sum_kroner FROM given
) AS w
GROUP BY w.what, w.order_id, w.message_no, w.since, w.sum_kroner
HAVING sum(w.rows) <> 0;

-- name: order_sendings
-- Orders that the view shows as put at other times, or more or less often than they were.
SELECT o.case_no, order_id::text, 'was put otherwise in the view'
FROM kvitt_views.order_sendings AS v
FULL JOIN orders AS o USING (order_id)
WHERE (v.sending_at, v.sent_at, v.resends, v.key_day, v.was_unknown) IS DISTINCT FROM
      (o.sending_at, o.sent_at, o.resends, o.key_day, o.was_unknown);

-- name: leases
-- Leases that the view shows at another position, or with another owner's token or times.
SELECT NULL::bigint, coalesce(v.lease, l.lease), 'stands otherwise in the view of leases'
FROM kvitt_views.leases AS v
FULL JOIN leases AS l USING (lease)
LEFT JOIN lease_owners AS o ON o.lease = l.lease AND o.fencing_token = l.fencing_token
WHERE (v.fencing_token, v.position, v.is_held, v.until, v.since) IS DISTINCT FROM
      (l.fencing_token, l.position, now() < l.until, nullif(nullif(l.until, 'infinity'), '-infinity'), o.since);

-- name: messages_counted
-- Where the view counts messages up to another one than is noted, or says otherwise whether more have come than are looked through.
SELECT NULL::bigint, 'messages', 'are counted otherwise in the view'
FROM kvitt_views.messages_counted AS v
FULL JOIN (
    SELECT c.counted_to, CASE WHEN c.seen_at > to_timestamp(0) THEN c.seen_at END AS looked_at,
           (SELECT count(*) FROM messages AS m WHERE m.message_no > c.counted_to) > 5000 AS is_at_least
    FROM counted_messages AS c
) AS g ON true
WHERE (v.counted_to, v.looked_at, v.is_at_least) IS DISTINCT FROM (g.counted_to, g.looked_at, g.is_at_least);

-- name: as_many_rows
-- Views that show more or fewer rows than there are: a row that is shown twice is twice in every sum.
SELECT NULL::bigint, n.view, 'shows ' || n.shown || ' rows, and there are ' || n.there
FROM (
    SELECT 'orders', (SELECT count(*) FROM kvitt_views.orders), (SELECT count(*) FROM orders) UNION ALL
    SELECT 'cases', (SELECT count(*) FROM kvitt_views.cases), (SELECT count(*) FROM cases) UNION ALL
    SELECT 'order_lines', (SELECT count(*) FROM kvitt_views.order_lines), (SELECT count(*) FROM order_lines) UNION ALL
    SELECT 'payments', (SELECT count(*) FROM kvitt_views.payments), (SELECT count(*) FROM payments) UNION ALL
    SELECT 'receipts', (SELECT count(*) FROM kvitt_views.receipts), (SELECT count(*) FROM receipts) UNION ALL
    SELECT 'reconciliations', (SELECT count(*) FROM kvitt_views.reconciliations), (SELECT count(*) FROM reconciliation_runs) UNION ALL
    SELECT 'reconciled_orders', (SELECT count(*) FROM kvitt_views.reconciled_orders), (SELECT count(*) FROM reconciled_orders) UNION ALL
    SELECT 'dead_letters', (SELECT count(*) FROM kvitt_views.dead_letters), (SELECT count(*) FROM dead_letters) UNION ALL
    SELECT 'topic_partitions', (SELECT count(*) FROM kvitt_views.topic_partitions), (SELECT count(*) FROM log_partitions) UNION ALL
    SELECT 'order_sendings', (SELECT count(*) FROM kvitt_views.order_sendings), (SELECT count(*) FROM orders) UNION ALL
    SELECT 'leases', (SELECT count(*) FROM kvitt_views.leases), (SELECT count(*) FROM leases) UNION ALL
    SELECT 'messages_counted', (SELECT count(*) FROM kvitt_views.messages_counted), (SELECT count(*) FROM counted_messages)
) AS n (view, shown, there)
WHERE n.shown <> n.there;
