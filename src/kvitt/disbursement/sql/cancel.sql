-- name: order_to_cancel
-- An order with what decides whether the rail can be asked to cancel it, its row locked.
SELECT o.rail, o.area, o.state, o.was_unknown OR o.sent_at IS NOT NULL AS may_have_left, o.sum_kroner, o.message, o.key_day,
       (SELECT min(r.outcome) FROM (SELECT q.outcome FROM receipts AS q WHERE q.order_id = o.order_id OFFSET 0) AS r
        WHERE r.outcome IN ('cancelled', 'returned')) AS came_back
FROM orders AS o
WHERE o.order_id = %(order_id)s
FOR UPDATE OF o;

-- name: last_cancellation
-- The newest request to cancel an order, its row locked.
SELECT k.cancellation_id::text, k.number, k.state, k.asked_at, k.sent_at, k.resends, k.reason
FROM cancellations AS k WHERE k.order_id = %(order_id)s
ORDER BY k.number DESC LIMIT 1
FOR UPDATE OF k;

-- name: add_cancellation
-- Stores a request to cancel an order; it leaves once the order has.
INSERT INTO cancellations (cancellation_id, order_id, number, rail, key_day, reason, message, asked_at, state)
VALUES (%(cancellation_id)s, %(order_id)s, %(number)s, %(rail)s, %(key_day)s, %(reason)s, %(message)s, %(asked_at)s, 'ready');

-- name: cancellation_ready_again
-- Lets a request be put once more that is unknown, or is not answered: the stored bytes, as a copy that no queue drops. That a copy may be at the
-- rail is never forgotten.
UPDATE cancellations SET state = 'ready', sender = NULL, resends = resends + 1, is_late = false
WHERE cancellation_id = %(cancellation_id)s AND state IN ('unknown', 'sent');

-- name: cancellations_of_order
-- The requests to cancel an order, oldest first, and when the rail answered each.
SELECT k.cancellation_id::text, k.number, k.state, k.reason, k.asked_at, k.sent_at, k.receipt_no,
       (SELECT r.received_at FROM receipts AS r WHERE r.receipt_no = k.receipt_no) AS answered_at, k.message
FROM cancellations AS k WHERE k.order_id = %(order_id)s
ORDER BY k.number;

-- name: answer_cancellations
-- The rail has agreed to, or refused, what it was asked about these orders; one that is ready to be put once more may be answered all the same.
UPDATE cancellations AS k
SET state = s.state, receipt_no = s.receipt_no, sent_at = coalesce(k.sent_at, s.at), sender = NULL
FROM unnest(%(order_ids)s::uuid[], %(states)s::text[], %(receipts)s::bigint[], %(moments)s::timestamptz[]) AS s (order_id, state, receipt_no, at)
WHERE k.order_id = s.order_id
  AND (k.state IN ('sending', 'sent', 'unknown') OR (k.state = 'ready' AND (k.was_unknown OR k.sent_at IS NOT NULL)));

-- name: dequeue_cancellations
-- Takes up to so many requests of a rail for sending, oldest first; one whose order is on its way to the queue waits, so that it comes behind it,
-- and where the sender of orders may put an unknown one again (`waits`), until it has.
WITH r AS MATERIALIZED (
    SELECT k.cancellation_id
    FROM cancellations AS k JOIN orders AS o ON o.order_id = k.order_id
    WHERE k.rail = %(rail)s AND k.state = 'ready' AND o.state NOT IN ('ready', 'sending', 'withdrawn')
      AND NOT (%(waits)s AND o.state = 'unknown' AND o.sender IS NOT NULL)
    ORDER BY k.asked_at, k.cancellation_id
    LIMIT %(limit)s
    FOR UPDATE OF k SKIP LOCKED
)
UPDATE cancellations AS k SET state = 'sending', sender = %(sender)s
FROM r WHERE k.cancellation_id = r.cancellation_id AND k.state = 'ready'
RETURNING k.cancellation_id::text, k.number, k.asked_at, k.message, k.resends;

-- name: mark_cancellations_sent
-- The queue has these requests; returns those that moved.
UPDATE cancellations SET state = 'sent', sender = NULL, sent_at = greatest(%(now)s, asked_at)
WHERE cancellation_id = ANY (%(ids)s::uuid[])
  AND ((state = 'sending' AND sender = %(sender)s) OR (state = 'unknown' AND sender IS NOT NULL))
RETURNING cancellation_id::text;

-- name: give_cancellations_back
-- Makes requests ready again that this sender has begun to send, and that for certain are not on the queue.
UPDATE cancellations SET state = 'ready', sender = NULL
WHERE cancellation_id = ANY (%(ids)s::uuid[]) AND state = 'sending' AND sender = %(sender)s
RETURNING cancellation_id::text;

-- name: cancellations_to_unknown
-- Requests that a sender which is no more had begun to send: they may have reached the queue or not.
UPDATE cancellations SET state = 'unknown', was_unknown = true
WHERE rail = %(rail)s AND state = 'sending' AND sender <> %(sender)s
RETURNING cancellation_id::text;

-- name: unknown_cancellations
-- Requests of which nobody knows whether they came to the queue, oldest first; some are left out.
SELECT cancellation_id::text, number, resends FROM cancellations
WHERE rail = %(rail)s AND state = 'unknown' AND sender IS NOT NULL AND cancellation_id <> ALL (%(but)s::uuid[])
ORDER BY asked_at, cancellation_id LIMIT %(limit)s;

-- name: unknown_cancellations_to_sending
-- Takes unknown requests, to put them again.
UPDATE cancellations SET state = 'sending', sender = %(sender)s
WHERE cancellation_id = ANY (%(ids)s::uuid[]) AND state = 'unknown'
RETURNING cancellation_id::text, number, asked_at, message, resends;
