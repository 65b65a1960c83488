-- name: add_outbox
-- Stores what shall be published; the identity column keeps the order in which one case publishes it.
INSERT INTO outbox (topic, key, value, headers, event_id, message_no, order_id, made_at, case_no, payment_id, version)
SELECT w.topic, w.key, w.value, w.headers, w.event_id, w.message_no, w.order_id, w.made_at, w.case_no, w.payment_id, w.version
FROM unnest(%b::text[], %b::bytea[], %b::bytea[], %b::bytea[], %b::uuid[], %b::bigint[], %b::uuid[], %b::timestamptz[],
            %b::bigint[], %b::uuid[], %b::integer[])
     WITH ORDINALITY AS w (topic, key, value, headers, event_id, message_no, order_id, made_at, case_no, payment_id, version, place)
ORDER BY w.place;

-- name: mark_relayed
-- Notes where each record of the outbox has gone, and returns what was noted.
UPDATE outbox AS o
SET relayed_at = %(now)s, partition = w.partition, position = w.position
FROM unnest(%(numbers)b::bigint[], %(partitions)b::integer[], %(positions)b::bigint[]) AS w (outbox_no, partition, position)
WHERE o.outbox_no = w.outbox_no
RETURNING o.outbox_no;

-- name: mark_relayed_free
-- As `mark_relayed`, without what somebody else has locked, there or in its row of numbers.
WITH waiting AS MATERIALIZED (
    SELECT numbers FROM unrelayed WHERE first_no <= %(last)b FOR UPDATE SKIP LOCKED
), w AS (
    SELECT w.outbox_no, w.partition, w.position
    FROM unnest(%(numbers)b::bigint[], %(partitions)b::integer[], %(positions)b::bigint[]) AS w (outbox_no, partition, position)
    JOIN (SELECT unnest(numbers) AS outbox_no FROM waiting) AS u ON u.outbox_no = w.outbox_no
), free AS MATERIALIZED (
    SELECT o.outbox_no FROM w JOIN outbox AS o ON o.outbox_no = w.outbox_no FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox AS o
SET relayed_at = %(now)s, partition = w.partition, position = w.position
FROM w JOIN free AS f ON f.outbox_no = w.outbox_no
WHERE o.outbox_no = w.outbox_no
RETURNING o.outbox_no;

-- name: forget_relayed
-- Takes records that are relayed out of the rows of numbers that they stand in. All numbers are joined at once: many rows have one alone.
WITH touched AS MATERIALIZED (
    SELECT u.first_no, array_agg(n.number ORDER BY n.number) FILTER (WHERE g.number IS NULL) AS left_over
    FROM unrelayed AS u CROSS JOIN LATERAL unnest(u.numbers) AS n (number)
    LEFT JOIN unnest(%(numbers)b::bigint[]) AS g (number) ON g.number = n.number
    WHERE u.first_no <= %(last)b
    GROUP BY u.first_no HAVING count(g.number) > 0
), emptied AS (
    DELETE FROM unrelayed AS u USING touched AS t WHERE u.first_no = t.first_no AND t.left_over IS NULL
)
UPDATE unrelayed AS u
SET first_no = t.left_over[1], numbers = t.left_over
FROM touched AS t
WHERE u.first_no = t.first_no AND t.left_over IS NOT NULL;

-- name: noted_and_waiting
-- Records that are noted as relayed and stand in the rows of numbers all the same: a relay that does not know these rows has published them.
SELECT n.number
FROM unrelayed AS u CROSS JOIN LATERAL unnest(u.numbers) AS n (number)
CROSS JOIN LATERAL (SELECT q.relayed_at FROM outbox AS q WHERE q.outbox_no = n.number OFFSET 0) AS o
WHERE o.relayed_at IS NOT NULL;
