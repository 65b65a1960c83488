-- name: make_partitions
-- Makes the partitions of a topic that are not there yet.
INSERT INTO log_partitions (topic, partition)
SELECT t.topic, p.partition FROM unnest(%b::text[]) AS t (topic), generate_series(0, %b::integer - 1) AS p (partition)
ORDER BY 1, 2
ON CONFLICT DO NOTHING;

-- name: reserve_positions
-- Takes the next positions of partitions for this transaction; the rows stay locked, in sorted order, until it ends.
WITH wanted AS (
    SELECT * FROM unnest(%b::text[], %b::integer[], %b::bigint[]) AS w (topic, partition, records)
), locked AS (
    SELECT l.topic, l.partition, l.next_position
    FROM log_partitions AS l JOIN wanted AS w USING (topic, partition)
    ORDER BY l.topic, l.partition
    FOR UPDATE OF l
)
UPDATE log_partitions AS l
SET next_position = l.next_position + w.records
FROM wanted AS w JOIN locked AS k USING (topic, partition)
WHERE l.topic = w.topic AND l.partition = w.partition
RETURNING l.topic, l.partition, k.next_position;

-- name: append
-- Writes records at positions that were reserved in this transaction.
INSERT INTO log_records (topic, partition, position, at, key, value, headers)
SELECT * FROM unnest(%b::text[], %b::integer[], %b::bigint[], %b::timestamptz[], %b::bytea[], %b::bytea[], %b::bytea[]);

-- name: read
-- The records of partitions from given positions on: of each at most so many, and no more once so many bytes came before.
SELECT r.topic, r.partition, r.position, r.key, r.value, r.headers
FROM unnest(%b::text[], %b::integer[], %b::bigint[]) AS w (topic, partition, position)
CROSS JOIN LATERAL (
    SELECT n.*, coalesce(sum(octet_length(n.value)) OVER (ORDER BY n.position ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), 0) AS before
    FROM (
        SELECT * FROM log_records AS l
        WHERE l.topic = w.topic AND l.partition = w.partition AND l.position >= w.position
        ORDER BY l.position
        LIMIT %b
    ) AS n
) AS r
WHERE r.before < %b
ORDER BY r.topic, r.partition, r.position;

-- name: unrelayed
-- What has not been relayed yet, in the order in which it was written. Commits become visible out of order, so there is no cursor.
SELECT outbox_no, topic, key FROM outbox WHERE relayed_at IS NULL ORDER BY outbox_no LIMIT %b;

-- name: relay_to_log
-- Copies records of the outbox to the places reserved for them; bytes that are a fact already are taken from there.
INSERT INTO log_records (topic, partition, position, at, key, value, headers)
SELECT o.topic, w.partition, w.position, %(now)s, o.key, coalesce(o.value, p.document, d.xml), o.headers
FROM unnest(%(numbers)b::bigint[], %(partitions)b::integer[], %(positions)b::bigint[]) AS w (outbox_no, partition, position)
JOIN outbox AS o ON o.outbox_no = w.outbox_no
LEFT JOIN payments AS p ON p.case_no = o.case_no AND p.payment_id = o.payment_id AND p.version = o.version
LEFT JOIN orders AS d ON d.order_id = o.order_id;

-- name: mark_relayed
-- Notes where each record of the outbox has gone.
UPDATE outbox AS o
SET relayed_at = %(now)s, partition = w.partition, position = w.position
FROM unnest(%(numbers)b::bigint[], %(partitions)b::integer[], %(positions)b::bigint[]) AS w (outbox_no, partition, position)
WHERE o.outbox_no = w.outbox_no;
