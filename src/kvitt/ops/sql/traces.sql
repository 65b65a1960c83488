-- Traces of messages: of which they were made, and what the store knows of each.

-- name: begin
-- Traces begin with what comes from now on, unless they have begun.
INSERT INTO traces_made (trail, until)
VALUES ('published', (SELECT coalesce(max(outbox_no), 0) FROM outbox)), ('acknowledged', (SELECT coalesce(max(receipt_no), 0) FROM receipts)),
       ('taken_in', (SELECT coalesce(max(message_no), 0) FROM messages))
ON CONFLICT DO NOTHING;

-- name: made_until
-- Behind which places there are no traces yet; nobody else makes any meanwhile.
SELECT trail, until FROM traces_made ORDER BY trail FOR UPDATE;

-- name: published
-- What was published next, in its order, before a moment; what is not out yet holds up what comes after it.
SELECT o.outbox_no AS place, o.message_no, p.relayed_at IS NOT NULL AS is_over
FROM outbox AS o JOIN outbox_places AS p ON p.outbox_no = o.outbox_no
WHERE o.outbox_no > %(after)s AND o.made_at < %(before)s
ORDER BY o.outbox_no
LIMIT %(limit)s;

-- name: acknowledged
-- Which receipts came next, in their order, before a moment, each with the message of its order.
SELECT r.receipt_no AS place, o.message_no, true AS is_over
FROM receipts AS r LEFT JOIN orders AS o ON o.order_id = r.order_id
WHERE r.receipt_no > %(after)s AND r.received_at < %(before)s
ORDER BY r.receipt_no
LIMIT %(limit)s;

-- name: taken_in
-- Which messages came next, in their order, before a moment; one that has an order is over when that is.
SELECT m.message_no AS place, CASE WHEN NOT EXISTS (SELECT FROM orders AS o WHERE o.message_no = m.message_no) THEN m.message_no END AS message_no,
       true AS is_over
FROM messages AS m
WHERE m.message_no > %(after)s AND m.received_at < %(before)s
ORDER BY m.message_no
LIMIT %(limit)s;

-- name: answered
-- The messages among some that have their final answer.
SELECT message_no, case_no, scheme, source, partition, position, headers, received_at, derived_at, answered_at
FROM messages
WHERE message_no = ANY (%(message_nos)s) AND state = 'answered' AND answered_at IS NOT NULL
ORDER BY message_no;

-- name: last_of
-- The last record of the outbox about each of some messages, where there is one.
SELECT message_no, max(outbox_no) AS outbox_no FROM outbox WHERE message_no = ANY (%(message_nos)s) GROUP BY message_no;

-- name: orders
-- Their orders, each with the receipt that settled it.
SELECT o.message_no, o.order_id::text, o.area, o.rail, o.state, o.made_at, o.sending_at, o.sent_at, o.settled_at, o.receipt_no, r.severity,
       r.received_at
FROM orders AS o LEFT JOIN receipts AS r ON r.receipt_no = o.receipt_no
WHERE o.message_no = ANY (%(message_nos)s)
ORDER BY o.message_no, o.number;

-- name: records
-- What was published about them and is out.
SELECT o.message_no, o.outbox_no, o.topic, o.made_at, p.relayed_at
FROM outbox AS o JOIN outbox_places AS p ON p.outbox_no = o.outbox_no
WHERE o.message_no = ANY (%(message_nos)s) AND p.relayed_at IS NOT NULL
ORDER BY o.message_no, o.outbox_no;

-- name: move_on
-- There are traces of all that is on a trail up to here.
UPDATE traces_made SET until = %(until)s WHERE trail = %(trail)s;
