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

-- name: simulations
-- Simulations that the view shows in another state than theirs, as asked for at other times, or more or less often.
SELECT coalesce(v.case_no, r.case_no), request_no::text, 'stands otherwise in the view of simulations'
FROM kvitt_views.simulations AS v
FULL JOIN simulation_requests AS r USING (request_no)
WHERE (v.state, v.requested_at, v.asked_at, v.times_asked, v.ended_at, v.deadline) IS DISTINCT FROM
      (r.state, r.requested_at, r.asked_at, r.times_asked, r.ended_at, r.deadline);

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

-- name: dead_letters
-- Dead letters that the view shows in another state than theirs, or larger or smaller than they are.
SELECT NULL::bigint, dead_no::text, 'stands otherwise in the view of dead letters'
FROM kvitt_views.dead_letters AS v
FULL JOIN dead_letters AS d USING (dead_no)
WHERE (v.state, v.size, v.at, v.closed_at) IS DISTINCT FROM (d.state, octet_length(d.body), d.at, d.closed_at);

-- name: order_sendings
-- Orders that the view shows as put at other times, or more or less often than they were.
SELECT o.case_no, order_id::text, 'was put otherwise in the view'
FROM kvitt_views.order_sendings AS v
FULL JOIN orders AS o USING (order_id)
WHERE (v.sending_at, v.sent_at, v.resends, v.key_day, v.was_unknown) IS DISTINCT FROM
      (o.sending_at, o.sent_at, o.resends, o.key_day, o.was_unknown);

-- name: cancellations
-- Requests to cancel that the view shows in another state than theirs, or at other times.
SELECT v.case_no, cancellation_id::text, 'stands otherwise in the view of cancellations'
FROM kvitt_views.cancellations AS v
FULL JOIN cancellations AS k USING (cancellation_id)
LEFT JOIN receipts AS r ON r.receipt_no = k.receipt_no
WHERE (v.state, v.number, v.asked_at, v.sent_at, v.answered_at, v.receipt_no, v.resends) IS DISTINCT FROM
      (k.state, k.number, k.asked_at, k.sent_at, r.received_at, k.receipt_no, k.resends);

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
    SELECT 'order_sendings', (SELECT count(*) FROM kvitt_views.order_sendings), (SELECT count(*) FROM orders) UNION ALL
    SELECT 'cancellations', (SELECT count(*) FROM kvitt_views.cancellations), (SELECT count(*) FROM cancellations) UNION ALL
    SELECT 'simulations', (SELECT count(*) FROM kvitt_views.simulations), (SELECT count(*) FROM simulation_requests)
) AS n (view, shown, there)
WHERE n.shown <> n.there;
