-- name: without_word
-- Orders of an area in an open state that were sent in a time, oldest first: those are few, and have an index of their own.
SELECT order_id
FROM kvitt_views.orders
WHERE state = %(state)s AND state IN ('ready', 'sending', 'sent', 'unknown') AND area = %(area)s
  AND (%(since)s::timestamptz IS NULL OR coalesce(sent_at, sending_at) >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR coalesce(sent_at, sending_at) <= %(until)s)
ORDER BY message_no, order_id
LIMIT %(limit)s;
