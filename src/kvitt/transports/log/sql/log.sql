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
INSERT INTO log_entries (topic, partition, position, at, key, value, headers)
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
-- What has not been relayed yet, in the order in which it was written, with the row of numbers that each stands in; all of a row, and no more
-- rows once so many records came before. Commits become visible out of order, so there is no cursor.
SELECT u.first_no, n.outbox_no, o.topic, o.key
FROM (
    SELECT s.first_no, s.numbers
    FROM (
        SELECT w.first_no, w.numbers, sum(cardinality(w.numbers)) OVER (ORDER BY w.first_no) - cardinality(w.numbers) AS before
        FROM (SELECT first_no, numbers FROM unrelayed ORDER BY first_no LIMIT %(limit)b) AS w
    ) AS s
    WHERE s.before < %(limit)b
) AS u
CROSS JOIN LATERAL unnest(u.numbers) AS n (outbox_no)
CROSS JOIN LATERAL (SELECT q.topic, q.key FROM outbox AS q WHERE q.outbox_no = n.outbox_no OFFSET 0) AS o
ORDER BY n.outbox_no;

-- name: relay_to_log
-- Gives records of the outbox the places reserved for them, in the order in which they were written: `log_no` is that order.
INSERT INTO log_entries (topic, partition, position, at, outbox_no)
SELECT w.topic, w.partition, w.position, %(now)s, w.outbox_no
FROM unnest(%(topics)b::text[], %(partitions)b::integer[], %(positions)b::bigint[], %(numbers)b::bigint[])
     AS w (topic, partition, position, outbox_no)
ORDER BY w.outbox_no;

-- name: forget_relayed
-- Rows of numbers of which all records are relayed.
DELETE FROM unrelayed WHERE first_no = ANY (%(rows)b::bigint[]);

-- name: ends_of_topic
-- Where each partition of a topic goes on; no row: there is no such topic.
SELECT partition, next_position FROM log_partitions WHERE topic = %s ORDER BY partition;
