-- What `kvitt check` proves of requests to cancel orders, with `closings_check.sql`: who asked for each.

-- name: any_cancellation
-- Whether an order was ever asked to be cancelled.
SELECT EXISTS (SELECT FROM cancellations);

-- name: cancellations_after
-- Requests, some at a time, each with its order and with the answer that it names.
SELECT k.cancellation_id::text, k.order_id::text, k.number, k.rail, k.key_day, k.reason, k.asked_at, k.message, k.state, o.message AS order_message,
       o.case_no, o.rail AS order_rail, r.receipt_no, r.place, r.order_id = k.order_id AS answers_order,
       (SELECT a.body FROM receipt_answers AS a WHERE a.receipt_no = r.receipt_no) AS answer
FROM cancellations AS k
JOIN orders AS o ON o.order_id = k.order_id
LEFT JOIN receipts AS r ON r.receipt_no = k.receipt_no
WHERE k.cancellation_id > %(after)s
ORDER BY k.cancellation_id
LIMIT %(limit)s;
