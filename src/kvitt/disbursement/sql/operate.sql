-- name: stop_sending
-- Stops sending to areas of a rail ('*' for all of either), with the reason; stopping again renews it.
INSERT INTO stops (rail, area, reason, stopped_by, stopped_at)
SELECT %(rail)s, a.area, %(reason)s, %(by)s, %(now)s FROM unnest(%(areas)s::text[]) AS a (area)
ON CONFLICT (rail, area) DO UPDATE SET reason = excluded.reason, stopped_by = excluded.stopped_by, stopped_at = excluded.stopped_at;

-- name: resume_sending
-- Lets sending to areas of a rail go on; returns those that were stopped.
DELETE FROM stops WHERE rail = %(rail)s AND area = ANY (%(areas)s::text[]) RETURNING area;

-- name: stopped
-- What is stopped, by whom, since when, and why.
SELECT rail, area, stopped_by, stopped_at, reason FROM kvitt_views.stops ORDER BY rail, area;

-- name: ready_there
-- Orders that are ready on rails, so many of them at most, by area: whether they leave for areas ('*' = all) unless a stop keeps them, as
-- nothing holds them, and whether another stop than those of just this place (a rail or '*') does.
SELECT r.area, r.is_free AND ARRAY['*', r.area] && %(areas)s::text[] AS is_there,
       EXISTS (SELECT FROM stops AS s WHERE s.rail IN ('*', r.rail) AND s.area IN ('*', r.area)
                                        AND NOT (s.rail = %(rail)s AND s.area = ANY (%(areas)s::text[]))) AS is_kept,
       sum(r.orders)::integer AS orders, sum(r.sum_kroner)::bigint AS sum_kroner
FROM (
    SELECT o.rail, o.area, o.is_free, count(*) AS orders, sum(o.sum_kroner) AS sum_kroner
    FROM (SELECT * FROM kvitt_views.open_sums WHERE state = 'ready' AND rail = ANY (%(rails)s::text[]) LIMIT %(limit)s) AS o
    GROUP BY o.rail, o.area, o.is_free
) AS r
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- name: list_orders
-- Orders in given states, newest first, with the reasons for which they are held, and what the rail says against what stands.
SELECT v.order_id::text, v.scheme, v.case_id, v.area, v.state, o.held_for::text, v.made_at, v.message_no, v.rail_says
FROM kvitt_views.orders AS v JOIN orders AS o ON o.order_id = v.order_id
WHERE v.state = ANY (%(states)s::text[]) AND (NOT %(held)s OR v.is_held)
ORDER BY v.message_no DESC, v.number DESC
LIMIT %(limit)s;

-- name: list_contradicted_orders
-- Orders of which the rail has said otherwise than what stands, newest first.
SELECT v.order_id::text, v.scheme, v.case_id, v.area, v.state, o.held_for::text, v.made_at, v.message_no, k.rails AS rail_says
FROM kvitt_views.contradictions AS k
JOIN kvitt_views.orders AS v ON v.order_id = k.order_id
JOIN orders AS o ON o.order_id = v.order_id
WHERE k.resolved_at IS NULL
ORDER BY v.message_no DESC, v.number DESC
LIMIT %(limit)s;

-- name: list_orders_of_case
-- Orders in given states of the cases that have an id, in whatever scheme, newest first.
SELECT v.order_id::text, v.scheme, v.case_id, v.area, v.state, o.held_for::text, v.made_at, v.message_no, v.rail_says
FROM kvitt_views.orders AS v JOIN orders AS o ON o.order_id = v.order_id
WHERE v.scheme = ANY (%(schemes)s::text[]) AND v.case_id = %(case_id)s AND v.state = ANY (%(states)s::text[])
ORDER BY v.message_no DESC, v.number DESC
LIMIT %(limit)s;

-- name: case_of_order
-- The case, message and state of one order, and why it is held.
SELECT c.scheme, c.case_id, o.case_no, o.message_no, o.state, o.held_for::text, o.message
FROM orders AS o JOIN cases AS c ON c.case_no = o.case_no
WHERE o.order_id = %s;

-- name: progress_of_order
-- How far an order has come, whether a copy may be at the rail, and whether what stands of it is contradicted.
SELECT o.state, o.was_unknown OR o.sent_at IS NOT NULL AS may_have_left,
       EXISTS (SELECT FROM contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL) AS contradicted
FROM orders AS o
WHERE o.order_id = %s;

-- name: release_order
-- Frees a held order of its reasons of these kinds, or of the last kind where it has none of them, and returns those that are left; no row:
-- it has none of that either, or is no longer ready.
WITH h AS (
    SELECT order_id, CASE WHEN EXISTS (SELECT FROM jsonb_array_elements(held_for) AS r (reason) WHERE r.reason ->> 'kind' = ANY (%(kinds)s::text[]))
                          THEN %(kinds)s::text[] ELSE ARRAY[%(last)s::text] END AS kinds
    FROM orders WHERE order_id = %(order_id)s AND state = 'ready'
    FOR UPDATE
)
UPDATE orders AS o
SET held_for = (SELECT coalesce(jsonb_agg(r.reason ORDER BY r.place), '[]')
                FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)
                WHERE r.reason ->> 'kind' <> ALL (h.kinds))
FROM h
WHERE o.order_id = h.order_id AND EXISTS (SELECT FROM jsonb_array_elements(o.held_for) AS r (reason) WHERE r.reason ->> 'kind' = ANY (h.kinds))
RETURNING o.held_for::text;

-- name: lock_order
-- Locks an order for this transaction: what is looked up after this sees all that whoever had it locked before has written.
SELECT FROM orders WHERE order_id = %s FOR UPDATE;

-- name: withdraw_order
-- Takes back an order that has never left, and the request to cancel it, which has not either; no row: it is no longer ready, or a copy of it
-- may be at the rail.
WITH o AS (
    UPDATE orders SET state = 'withdrawn', settled_at = %s
    WHERE order_id = %s AND state = 'ready' AND NOT was_unknown AND sent_at IS NULL
    RETURNING order_id, area
), k AS (
    UPDATE cancellations AS k SET state = 'withdrawn' FROM o WHERE k.order_id = o.order_id AND k.state = 'ready'
)
SELECT area FROM o;

-- name: ready_again
-- Lets an order that is unknown, or whose receipt does not come, be sent once more, the stored bytes, as a copy of its own; returns how
-- many resends that makes; no row: it is not with the rail without an answer, or the rail is asked to cancel it. That a copy may be at the rail is
-- never forgotten.
UPDATE orders SET state = 'ready', sender = NULL, was_unknown = true, resends = resends + 1, file_id = NULL
WHERE order_id = %s AND state IN ('unknown', 'sent')
  AND NOT EXISTS (SELECT FROM cancellations AS k WHERE k.order_id = orders.order_id AND k.state <> 'refused')
RETURNING resends;

-- name: odd_receipts
-- Receipts that changed nothing and that a person should look at or has looked at, newest first.
SELECT receipt_no, received_at, outcome, severity, code, order_id::text, size, note, closed_at, closed_by, closed_because, is_open
FROM kvitt_views.receipts
WHERE outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts', 'returned', 'cancelled')
ORDER BY receipt_no DESC
LIMIT %s;

-- name: open_receipts
-- Receipts that changed nothing and that a person should look at, newest first.
SELECT receipt_no, received_at, outcome, severity, code, order_id::text, size, note, NULL::timestamptz AS closed_at, NULL::text AS closed_by,
       NULL::text AS closed_because, true AS is_open
FROM kvitt_views.open_receipts
ORDER BY receipt_no DESC
LIMIT %s;

-- name: close_receipt
-- Closes a receipt that settled nothing; no row: it settled something, contradicts, is closed already, or there is none.
UPDATE receipts SET closed_at = %(now)s, closed_by = %(by)s, closed_because = %(reason)s
WHERE receipt_no = %(receipt_no)s AND closed_at IS NULL AND outcome IN ('unreadable', 'unmatched', 'unclear', 'returned', 'cancelled')
RETURNING receipt_no;

-- name: outcome_of_receipt
-- What a receipt was taken for, and who closed it and why.
SELECT outcome, closed_by, closed_because FROM receipts WHERE receipt_no = %s;

-- name: receipt_body
-- One receipt as it came.
SELECT body FROM receipt_answers WHERE receipt_no = %s;

-- name: unknown_payments
-- What imports found and did not learn, case by case; * is the whole case.
SELECT c.scheme, c.case_id, u.payment_id
FROM cases AS c CROSS JOIN LATERAL unnest(c.unknown) WITH ORDINALITY AS u (payment_id, place)
WHERE c.unknown <> '{}'
ORDER BY c.case_no, u.place
LIMIT %s;

-- name: case_in_short
-- The case of an order, and where its audit chain ends: whatever happens to the case moves that.
SELECT c.case_no, c.scheme, c.case_id, c.last_event_hash FROM orders AS o JOIN cases AS c ON c.case_no = o.case_no WHERE o.order_id = %s;

-- name: orders_in_short
-- Each order of a case with its state, what holds it, how many lines it has, what a receipt says against it, and how the newest request to
-- cancel it stands, oldest first: that an open one leaves by itself changes nothing for who approves an act.
SELECT o.order_id::text, o.area, o.state, o.resends, o.sum_kroner,
       (SELECT coalesce(string_agg(r.reason ->> 'text', '; ' ORDER BY r.place), '')
        FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)) AS held_for,
       (SELECT count(*) FROM order_lines AS l WHERE l.order_id = o.order_id) AS lines,
       (SELECT k.rails FROM contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL) AS rail_says,
       (SELECT CASE WHEN k.state IN ('ready', 'sending', 'sent', 'unknown') THEN 'open' ELSE k.state END
        FROM cancellations AS k WHERE k.order_id = o.order_id ORDER BY k.number DESC LIMIT 1) AS cancellation
FROM orders AS o
WHERE o.case_no = %s
ORDER BY o.number;

-- name: is_answered
-- Whether the message of an order has its final answer.
SELECT m.answered_at IS NOT NULL FROM orders AS o JOIN messages AS m ON m.message_no = o.message_no WHERE o.order_id = %s;

-- name: payments_in_short
-- The newest version of each payment of a case with its state.
SELECT DISTINCT ON (p.payment_id) p.payment_id::text, p.version, p.state
FROM payments AS p
WHERE p.case_no = %s
ORDER BY p.payment_id, p.version DESC;

-- name: orders_of_batch
-- Orders by their ids, in the order in which their cases are locked, each with the request to cancel it that keeps it from being sent once more.
SELECT o.order_id::text, c.scheme, c.case_id, o.area, o.state, o.resends, o.sum_kroner,
       (SELECT k.state FROM cancellations AS k WHERE k.order_id = o.order_id AND k.state <> 'refused' ORDER BY k.number DESC LIMIT 1) AS cancellation
FROM orders AS o JOIN cases AS c ON c.case_no = o.case_no
WHERE o.order_id = ANY (%(order_ids)s::uuid[])
ORDER BY o.case_no, o.order_id;
