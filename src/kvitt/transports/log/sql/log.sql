-- name: make_partitions
-- Makes the partitions of topics that are not there yet.
INSERT INTO log_partitions (topic, partition)
SELECT t.topic, p.partition FROM unnest(%(topics)b::text[]) AS t (topic), generate_series(0, %(partitions)b::integer - 1) AS p (partition)
WHERE NOT EXISTS (SELECT FROM log_partitions AS l WHERE l.topic = t.topic)
ORDER BY 1, 2
ON CONFLICT DO NOTHING;

-- name: partitions_of_topics
-- How many partitions topics have.
SELECT topic, count(*)::integer AS partitions FROM log_partitions WHERE topic = ANY (%b::text[]) GROUP BY topic;

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
RETURNING l.topic, l.partition, k.next_position AS position;

-- name: append
-- Writes records at positions that were reserved in this transaction, in the order of the arrays: `log_no` is the order of appending.
INSERT INTO log_records (topic, partition, position, at, key, value, headers)
SELECT w.topic, w.partition, w.position, w.at, w.key, w.value, w.headers
FROM unnest(%b::text[], %b::integer[], %b::bigint[], %b::timestamptz[], %b::bytea[], %b::bytea[], %b::bytea[])
     WITH ORDINALITY AS w (topic, partition, position, at, key, value, headers, place)
ORDER BY w.place;

-- name: read
-- The records of partitions from given positions on: of each at most so many, and no more once so many bytes came before. They come
-- as they were appended, over all partitions; what came after the end of a partition that was cut off waits for the next look.
WITH found AS (
    SELECT r.*
    FROM unnest(%(topics)b::text[], %(partitions)b::integer[], %(positions)b::bigint[]) AS w (topic, partition, position)
    CROSS JOIN LATERAL (
        SELECT n.*, coalesce(sum(octet_length(n.value)) OVER (ORDER BY n.position ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), 0) AS before
        FROM (
            SELECT * FROM log_records AS l
            WHERE l.topic = w.topic AND l.partition = w.partition AND l.position >= w.position
            ORDER BY l.position
            LIMIT %(records)b
        ) AS n
    ) AS r
), cut_off AS (
    SELECT max(log_no) FILTER (WHERE before < %(bytes)b) AS last
    FROM found
    GROUP BY topic, partition
    HAVING count(*) >= %(records)b OR bool_or(before >= %(bytes)b)
)
SELECT topic, partition, position, key, value, headers
FROM found
WHERE before < %(bytes)b AND NOT EXISTS (SELECT FROM cut_off AS c WHERE found.log_no > c.last)
ORDER BY log_no;

-- name: unrelayed
-- What has not been relayed yet, in the order in which it was written. Commits become visible out of order, so there is no cursor.
SELECT outbox_no, topic, key FROM outbox WHERE relayed_at IS NULL ORDER BY outbox_no LIMIT %b;

-- name: unrelayed_free
-- As `unrelayed`, without what somebody else has locked, and without what comes behind that under the same key.
WITH next AS MATERIALIZED (
    SELECT outbox_no, topic, key FROM outbox WHERE relayed_at IS NULL ORDER BY outbox_no LIMIT %b
), free AS MATERIALIZED (
    SELECT o.outbox_no FROM next AS n JOIN outbox AS o ON o.outbox_no = n.outbox_no FOR UPDATE OF o SKIP LOCKED
), held AS (
    SELECT topic, key, min(outbox_no) AS first FROM next AS n WHERE NOT EXISTS (SELECT FROM free AS f WHERE f.outbox_no = n.outbox_no) GROUP BY 1, 2
)
SELECT n.outbox_no, n.topic, n.key
FROM next AS n
WHERE NOT EXISTS (SELECT FROM held AS h WHERE h.topic = n.topic AND h.key IS NOT DISTINCT FROM n.key AND h.first <= n.outbox_no)
ORDER BY n.outbox_no;

-- name: relay_to_log
-- Copies records of the outbox to the places reserved for them, in the order in which they were written: `log_no` is that order, whatever
-- way the rows are joined. Bytes that are a fact already are taken from there. The headers that
-- every record has come last: its event, when it was written, the time of the stream, which is the same, and when it is published. They are
-- put in byte by byte, because headers of senders may hold what jsonb does not take.
INSERT INTO log_records (topic, partition, position, at, key, value, headers)
SELECT o.topic, w.partition, w.position, %(now)s, o.key, coalesce(o.value, d.message),
       substr(o.headers, 1, octet_length(o.headers) - 1) || convert_to(
           CASE WHEN o.headers = '[]' THEN '' ELSE ',' END
           || format('["event-id","%%s"],["x-ts","%%s"],["x-st","%%s"],["x-sy","%%s"]]', o.event_id, t.made_ms, t.made_ms, t.told_ms), 'UTF8')
FROM unnest(%(numbers)b::bigint[], %(partitions)b::integer[], %(positions)b::bigint[]) AS w (outbox_no, partition, position)
JOIN outbox AS o ON o.outbox_no = w.outbox_no
CROSS JOIN LATERAL (
    SELECT floor(extract(epoch FROM o.made_at) * 1000)::bigint, floor(extract(epoch FROM %(now)s::timestamptz) * 1000)::bigint
) AS t (made_ms, told_ms)
LEFT JOIN orders AS d ON d.order_id = o.order_id
ORDER BY o.outbox_no;

-- name: ends_of_topic
-- Where each partition of a topic goes on; no row: there is no such topic.
SELECT partition, next_position FROM log_partitions WHERE topic = %s ORDER BY partition;
