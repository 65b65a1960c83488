-- name: sending
-- How an order was put.
SELECT sender, sending_at, sent_at, resends, key_day, was_unknown FROM kvitt_views.order_sendings WHERE order_id = %(order_id)s;

-- name: queues
-- The queues that are tables.
SELECT queue FROM kvitt_views.queues ORDER BY queue LIMIT 100;

-- name: copies
-- Copies of an order in them.
SELECT m.queue, m.message_id, m.put_at, m.consumed_at, m.deliveries, m.is_dead
FROM unnest(%(queues)s::text[]) AS q (queue)
CROSS JOIN unnest(%(message_ids)s::text[]) AS i (message_id)
JOIN kvitt_views.queue_messages AS m ON m.queue = q.queue AND m.message_id = i.message_id
ORDER BY m.put_at;

-- name: near
-- Orders to the same area that were made just before and after.
(SELECT o.order_id, o.state, o.sent_at, o.settled_at, o.receipt_no, o.sum_kroner
 FROM (SELECT order_id, message_no, area, state, sent_at, settled_at, receipt_no, sum_kroner FROM kvitt_views.orders
       WHERE message_no < %(message_no)s ORDER BY message_no DESC LIMIT %(looked_through)s) AS o
 WHERE o.area = %(area)s ORDER BY o.message_no DESC LIMIT %(near)s)
UNION ALL
(SELECT o.order_id, o.state, o.sent_at, o.settled_at, o.receipt_no, o.sum_kroner
 FROM (SELECT order_id, message_no, area, state, sent_at, settled_at, receipt_no, sum_kroner FROM kvitt_views.orders
       WHERE message_no > %(message_no)s ORDER BY message_no LIMIT %(looked_through)s) AS o
 WHERE o.area = %(area)s ORDER BY o.message_no LIMIT %(near)s);

-- name: strays
-- Receipts that wait for a person, newest first.
SELECT receipt_no, received_at, outcome, severity, code, note FROM kvitt_views.open_receipts
WHERE rail = %(rail)s AND outcome <> 'contradicts' ORDER BY receipt_no DESC LIMIT %(limit)s;

-- name: whereabouts_version
-- Whether there are other notes on the case of an order, or other receipts that wait.
SELECT concat_ws('-', (SELECT max(n.note_no) FROM kvitt_views.orders AS o JOIN kvitt_views.note_texts AS n ON n.case_no = o.case_no
                       WHERE o.order_id = %(order_id)s),
                 (SELECT max(receipt_no) FROM kvitt_views.open_receipts));
