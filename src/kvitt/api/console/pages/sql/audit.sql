-- name: entries
-- Entries of a chain before a number, newest first.
SELECT seq, at, what, message_no, order_id, receipt_no, digest, note, hash
FROM kvitt_views.audit_entries
WHERE chain = %(chain)s AND seq < %(before)s
ORDER BY seq DESC
LIMIT %(limit)s;

-- name: orders_among
-- Those of these ids that are ids of orders.
SELECT order_id FROM kvitt_views.orders WHERE order_id = ANY(%(order_ids)s::uuid[]);
