-- name: without_word
-- Orders of an area in an open state that were sent in a time, oldest first. The index of open orders is by rail, so each rail is asked for as many
-- as are wanted.
WITH RECURSIVE rails AS (
    SELECT min(rail) AS rail FROM kvitt_views.open_sums
    UNION ALL
    SELECT (SELECT min(v.rail) FROM kvitt_views.open_sums AS v WHERE v.rail > r.rail) FROM rails AS r WHERE r.rail IS NOT NULL
)
SELECT o.order_id
FROM rails AS r
CROSS JOIN LATERAL (
    SELECT order_id, message_no
    FROM kvitt_views.orders
    WHERE rail = r.rail AND state = %(state)s AND state IN ('ready', 'sending', 'sent', 'unknown') AND area = %(area)s
      AND (%(since)s::timestamptz IS NULL OR coalesce(sent_at, sending_at) >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR coalesce(sent_at, sending_at) <= %(until)s)
    ORDER BY message_no, order_id
    LIMIT %(limit)s
) AS o
ORDER BY o.message_no, o.order_id
LIMIT %(limit)s;
