-- name: unpublished
-- What has not been relayed yet, in the order in which it was written, with its bytes; those that are a fact already are taken from
-- there. At most so many records, and no more once so many bytes came before. Each row of numbers has one at least.
SELECT outbox_no, topic, key, value, headers, event_id, made_at
FROM (
    SELECT n.*, coalesce(sum(octet_length(n.value)) OVER (ORDER BY n.outbox_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM (
        SELECT o.outbox_no, o.topic, o.key, coalesce(o.value, d.message) AS value, o.headers, o.event_id::text, o.made_at
        FROM (
            SELECT s.outbox_no
            FROM (
                SELECT v.numbers, sum(cardinality(v.numbers)) OVER (ORDER BY v.first_no) - cardinality(v.numbers) AS before
                FROM (SELECT first_no, numbers FROM unrelayed ORDER BY first_no LIMIT %(limit)b) AS v
            ) AS u
            CROSS JOIN LATERAL unnest(u.numbers) AS s (outbox_no)
            WHERE u.before < %(limit)b
            ORDER BY s.outbox_no
            LIMIT %(limit)b
        ) AS w
        CROSS JOIN LATERAL (SELECT * FROM outbox AS q WHERE q.outbox_no = w.outbox_no OFFSET 0) AS o
        LEFT JOIN orders AS d ON o.value IS NULL AND d.order_id = o.order_id
    ) AS n
) AS r
WHERE r.before < %(bytes)b
ORDER BY outbox_no;

-- name: give_up_leases
-- Gives up some leases of one owner, so that the next owner of their partitions need not wait.
UPDATE leases SET until = '-infinity' WHERE owner = %(owner)s AND lease = ANY (%(leases)s);

-- name: stored_positions
-- To which offset partitions have been read, or at which an operator has said that they begin, by the names of their leases, and how
-- much our positions are ahead of offsets; no row: neither.
SELECT lease, coalesce(nullif(l.position, 0), b.position) - coalesce(b.shift, 0) AS position, coalesce(b.shift, 0) AS shift
FROM leases AS l FULL JOIN beginnings AS b USING (lease)
WHERE lease = ANY (%s) AND (l.position > 0 OR b.lease IS NOT NULL);

-- name: set_start_offsets
-- Moves partitions that nobody reads to where they shall begin, and makes every earlier owner's fencing token stale; returns those that were moved.
WITH wanted AS (
    SELECT w.lease, w.position + w.shift AS position, w.shift
    FROM unnest(%(leases)s::text[], %(offsets)s::bigint[], %(shifts)s::bigint[]) AS w (lease, position, shift)
), moved AS (
    INSERT INTO leases AS l (lease, owner, fencing_token, until, position)
    SELECT lease, '', 1, '-infinity', position FROM wanted ORDER BY lease
    ON CONFLICT (lease) DO UPDATE SET position = excluded.position, fencing_token = l.fencing_token + 1, owner = '', until = '-infinity'
    WHERE l.until < now()
    RETURNING lease
)
INSERT INTO beginnings AS b (lease, position, shift, begun_at)
SELECT w.lease, w.position, w.shift, %(now)s FROM wanted AS w JOIN moved AS m USING (lease)
ON CONFLICT (lease) DO UPDATE SET position = excluded.position, shift = excluded.shift, begun_at = excluded.begun_at
RETURNING lease;

-- name: note_topics
-- Notes the ids of topics, in place of other ones only where nothing is stored of the topic.
INSERT INTO source_topics AS t (topic, topic_id)
SELECT * FROM unnest(%(topics)s::text[], %(ids)s::text[])
ON CONFLICT (topic) DO UPDATE SET topic_id = excluded.topic_id
WHERE t.topic_id <> excluded.topic_id
  AND NOT EXISTS (SELECT FROM leases WHERE starts_with(lease, 'intake:' || t.topic || ':') AND position > 0);

-- name: renew_topics
-- Notes the ids of topics in place of whatever was noted.
INSERT INTO source_topics (topic, topic_id)
SELECT * FROM unnest(%(topics)s::text[], %(ids)s::text[])
ON CONFLICT (topic) DO UPDATE SET topic_id = excluded.topic_id;

-- name: other_topics
-- Those of the topics that have had another id.
SELECT t.topic FROM source_topics AS t JOIN unnest(%(topics)s::text[], %(ids)s::text[]) AS n (topic, id) ON n.topic = t.topic
WHERE n.id <> t.topic_id
ORDER BY 1;
