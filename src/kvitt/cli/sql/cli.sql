-- name: list_topics
-- Every topic with how many partitions and records it has, and when something was last appended to it.
SELECT p.topic, count(*) AS partitions, sum(p.next_position)::bigint AS records, max(last.at) AS last_record_at
FROM log_partitions AS p
LEFT JOIN LATERAL (
    SELECT r.at FROM log_records AS r
    WHERE r.topic = p.topic AND r.partition = p.partition
    ORDER BY r.position DESC
    LIMIT 1
) AS last ON true
GROUP BY p.topic
ORDER BY p.topic;

-- name: last_records
-- The newest records of a topic, newest first.
SELECT partition, position, at, key, value, headers
FROM (
    SELECT r.*
    FROM log_partitions AS p
    CROSS JOIN LATERAL (
        SELECT * FROM log_records AS l
        WHERE l.topic = p.topic AND l.partition = p.partition
        ORDER BY l.position DESC
        LIMIT %(limit)s
    ) AS r
    WHERE p.topic = %(topic)s
) AS newest
ORDER BY at DESC, partition DESC, position DESC
LIMIT %(limit)s;

-- name: somebody_works
-- Whether a process holds the leases of a hub: it takes messages in, sends orders and publishes statuses.
SELECT EXISTS (SELECT FROM leases WHERE lease = 'relay' AND until > now());

-- name: newest_message
-- The highest message number so far; 0 when there is none.
SELECT coalesce(max(message_no), 0) FROM messages;

-- name: totals
-- Per scheme, of the messages after a number that came under the given keys: messages, orders, accepted orders, rejected orders,
-- messages answered at once, messages that waited in their case's queue. A message that did not wait is derived as it is received.
SELECT m.scheme, count(*) AS messages, coalesce(sum(o.made), 0)::bigint AS orders, coalesce(sum(o.accepted), 0)::bigint AS accepted,
       coalesce(sum(o.rejected), 0)::bigint AS rejected,
       count(*) FILTER (WHERE o.made IS NULL AND m.derived_at = m.received_at) AS at_once,
       count(*) FILTER (WHERE m.state = 'queued' OR m.derived_at > m.received_at) AS waited
FROM messages AS m
JOIN (SELECT DISTINCT key FROM unnest(%(keys)s::bytea[]) AS k (key)) AS asked ON asked.key = m.key
LEFT JOIN (
    SELECT message_no, count(*) AS made, count(*) FILTER (WHERE state = 'accepted') AS accepted,
           count(*) FILTER (WHERE state = 'rejected') AS rejected
    FROM orders
    WHERE message_no > %(after)s
    GROUP BY message_no
) AS o ON o.message_no = m.message_no
WHERE m.message_no > %(after)s
GROUP BY m.scheme;

-- name: unfinished
-- Whether anything is on its way: untold statuses, orders without their receipt, messages on a queue of ours, receipts that the emulator
-- holds back.
SELECT EXISTS (SELECT FROM unrelayed)
    OR EXISTS (SELECT FROM orders WHERE state IN ('sending', 'sent'))
    OR EXISTS (SELECT FROM queue.message WHERE consumed_at IS NULL AND queue NOT LIKE '%%.dlq')
    OR EXISTS (SELECT FROM rail.receipt WHERE put_at IS NULL AND due_at IS NOT NULL);

-- name: records_from
-- The next records of each partition of a topic from given positions on, at most so many of each; together they are sorted by time.
SELECT r.partition, r.position, r.at, r.key, r.value, r.headers
FROM unnest(%(partitions)s::integer[], %(positions)s::bigint[]) AS w (partition, position)
CROSS JOIN LATERAL (
    SELECT * FROM log_records AS l
    WHERE l.topic = %(topic)s AND l.partition = w.partition AND l.position >= w.position
    ORDER BY l.position
    LIMIT %(limit)s
) AS r
ORDER BY r.at, r.partition, r.position;

-- name: areas_of_day
-- The areas that have orders of a day.
SELECT DISTINCT area FROM orders WHERE day = %(day)s;

-- name: lines_of_message
-- The lines of the orders that a message led to, in their order, those that end one too.
SELECT l.line_id, l.start_on AS start, l.end_on AS "end", l.amount
FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
WHERE o.message_no = %(message_no)s
ORDER BY o.number, l.position;
