-- name: untold
-- What has not been relayed yet, in the order in which it was written, with its bytes; those that are a fact already are taken from
-- there. At most so many records, and no more once so many bytes came before.
SELECT outbox_no, topic, key, value, headers, event_id, made_at
FROM (
    SELECT n.*, coalesce(sum(octet_length(n.value)) OVER (ORDER BY n.outbox_no ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), 0) AS before
    FROM (
        SELECT o.outbox_no, o.topic, o.key, coalesce(o.value, p.document, d.xml) AS value, o.headers, o.event_id::text, o.made_at
        FROM (SELECT * FROM outbox WHERE relayed_at IS NULL ORDER BY outbox_no LIMIT %b) AS o
        LEFT JOIN payments AS p
               ON o.value IS NULL AND p.case_no = o.case_no AND p.payment_id = o.payment_id AND p.version = o.version
        LEFT JOIN orders AS d ON o.value IS NULL AND d.order_id = o.order_id
    ) AS n
) AS r
WHERE r.before < %b
ORDER BY outbox_no;

-- name: give_up_leases
-- Gives up some leases of one owner, so that the next owner of their partitions need not wait.
UPDATE leases SET until = '-infinity' WHERE owner = %(owner)s AND lease = ANY (%(leases)s);

-- name: stored_positions
-- How far partitions have been read, by the names of their leases.
SELECT lease, position FROM leases WHERE lease = ANY (%s);

-- name: forget_positions
-- Gives up what is stored of partitions that nobody reads, and makes every earlier owner's epoch stale; gives those that somebody reads.
WITH idle AS (
    UPDATE leases SET position = 0, epoch = epoch + 1, owner = '', until = '-infinity'
    WHERE lease = ANY (%s) AND until < now()
    RETURNING lease
)
SELECT l.lease FROM leases AS l WHERE l.lease = ANY (%s) AND l.until >= now();
