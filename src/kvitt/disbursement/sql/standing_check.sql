-- What `kvitt check` proves of views of how things stand just now: what is open, stuck, behind or used up. Each returns the number of a case or
-- null, an id, and what is wrong.

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
    SELECT 'cancellation unknown', o.case_no, o.order_id, NULL, o.area, k.asked_at, o.sum_kroner
    FROM cancellations AS k JOIN orders AS o USING (order_id) WHERE k.state = 'unknown' AND o.state NOT IN ('rejected', 'withdrawn')
    UNION ALL
    SELECT 'cancellation late', o.case_no, o.order_id, NULL, o.area, k.sent_at, o.sum_kroner
    FROM cancellations AS k JOIN orders AS o USING (order_id) WHERE k.state = 'sent' AND k.is_late AND o.state NOT IN ('rejected', 'withdrawn')
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

-- name: backlogs
-- Kinds of unfinished work of which the view counts others than there are, up to its bound; or whose oldest is not the oldest, where all are counted.
WITH given (what, at) AS (
    SELECT 'published', made_at FROM unpublished
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

-- name: open_sums
-- Open orders that the view adds up otherwise than they add up.
SELECT NULL::bigint, concat_ws(' ', rail, area, state), 'adds up otherwise in the view of open sums'
FROM (SELECT rail, area, state, is_free, since, count(*) AS orders, sum(sum_kroner) AS kroner
      FROM kvitt_views.open_sums GROUP BY rail, area, state, is_free, since) AS v
FULL JOIN (SELECT rail, area, state, held_for = '[]' AS is_free, coalesce(sent_at, made_at) AS since, count(*) AS orders, sum(sum_kroner) AS kroner
           FROM orders WHERE state IN ('ready', 'sending', 'sent', 'unknown')
           GROUP BY rail, area, state, held_for = '[]', coalesce(sent_at, made_at)) AS g USING (rail, area, state, is_free, since)
WHERE (v.orders, v.kroner) IS DISTINCT FROM (g.orders, g.kroner);

-- name: open_receipts
-- Receipts that the view has wait for a person though they do not, the other way round, and those that it shows otherwise.
SELECT NULL::bigint, receipt_no::text, 'waits for a person otherwise in the view'
FROM (SELECT receipt_no, min(received_at) AS received_at, min(outcome) AS outcome, sum(size) AS size
      FROM kvitt_views.open_receipts GROUP BY receipt_no) AS v
FULL JOIN (
    SELECT r.receipt_no, r.received_at, r.outcome, octet_length(r.body) AS size
    FROM receipts AS r
    LEFT JOIN orders AS o ON o.order_id = r.order_id
    LEFT JOIN (SELECT order_id, bool_or(resolved_at IS NULL) AS is_open FROM contradictions GROUP BY order_id) AS k ON k.order_id = r.order_id
    WHERE r.closed_at IS NULL AND CASE
        WHEN r.outcome IN ('unreadable', 'unmatched', 'returned', 'cancelled') THEN true
        WHEN r.outcome = 'unclear' THEN coalesce(o.state IN ('ready', 'sending', 'sent', 'unknown'), false)
        WHEN r.outcome = 'contradicts' THEN coalesce(k.is_open, true)
        ELSE false END
) AS g USING (receipt_no)
WHERE (v.received_at, v.outcome, v.size) IS DISTINCT FROM (g.received_at, g.outcome, g.size);

-- name: source_hours
-- Hours in which a source used more or less of its limit than its orders count, from where each order says what it counts.
WITH given AS (
    SELECT source, hour, CASE WHEN hour < (SELECT from_hour FROM source_hours_proved) THEN kroner ELSE 0 END AS kroner FROM source_hours
    UNION ALL
    SELECT source, hour, kroner FROM limited_orders WHERE hour >= (SELECT from_hour FROM source_hours_proved)
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

-- name: leases
-- Leases that the view shows at another position, or with another owner's token or times.
SELECT NULL::bigint, coalesce(v.lease, l.lease), 'stands otherwise in the view of leases'
FROM kvitt_views.leases AS v
FULL JOIN leases AS l USING (lease)
LEFT JOIN lease_owners AS o ON o.lease = l.lease AND o.fencing_token = l.fencing_token
WHERE (v.fencing_token, v.position, v.is_held, v.until, v.since) IS DISTINCT FROM
      (l.fencing_token, l.position, now() < l.until, nullif(nullif(l.until, 'infinity'), '-infinity'), o.since);

-- name: topic_partitions
-- Partitions of the embedded log that the view shows with another next position than theirs.
SELECT NULL::bigint, topic || '/' || partition, 'has another next position in the view'
FROM kvitt_views.topic_partitions AS v
FULL JOIN log_partitions AS l USING (topic, partition)
WHERE v.next_position IS DISTINCT FROM l.next_position;

-- name: as_many_rows
-- Views that show more or fewer rows than there are: a row that is shown twice is twice in every sum.
SELECT NULL::bigint, n.view, 'shows ' || n.shown || ' rows, and there are ' || n.there
FROM (
    SELECT 'topic_partitions', (SELECT count(*) FROM kvitt_views.topic_partitions), (SELECT count(*) FROM log_partitions) UNION ALL
    SELECT 'leases', (SELECT count(*) FROM kvitt_views.leases), (SELECT count(*) FROM leases) UNION ALL
    SELECT 'messages_counted', (SELECT count(*) FROM kvitt_views.messages_counted), (SELECT count(*) FROM counted_messages)
) AS n (view, shown, there)
WHERE n.shown <> n.there;
