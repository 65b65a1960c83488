-- name: lock_free_cases
-- Locks those of the named cases that nobody else holds, in sorted order, as `lock_cases` does; the others give no row.
SELECT c.case_no, c.scheme, c.case_id, c.person, c.areas, c.orders_made, c.open_orders, c.queued, c.audit_seq, c.last_event_hash, c.last_at,
       c.unknown, c.contradictions, c.contract, c.frame_start, c.cap_kroner, c.numbered, c.ordered_for, c.opened_for,
       (SELECT true FROM deferred AS d WHERE d.scheme = c.scheme AND d.case_id = c.case_id AND d.taken_at IS NULL LIMIT 1) IS NOT NULL AS deferred
FROM unnest(%b::text[], %b::text[]) AS w (scheme, case_id)
JOIN cases AS c ON c.scheme = w.scheme AND c.case_id = w.case_id
ORDER BY c.scheme, c.case_id
FOR UPDATE OF c SKIP LOCKED;

-- name: known_cases
-- Those of the named cases that are there, locked by somebody or not.
SELECT c.scheme, c.case_id
FROM unnest(%b::text[], %b::text[]) AS w (scheme, case_id)
JOIN cases AS c ON c.scheme = w.scheme AND c.case_id = w.case_id;

-- name: cases_with_deferred
-- Cases of which something waits until they are free, at most so many behind a given one, each found by one look into the index.
WITH RECURSIVE found AS (
    (SELECT scheme, case_id FROM deferred WHERE taken_at IS NULL AND (scheme, case_id) > (%b, %b) ORDER BY scheme, case_id LIMIT 1)
    UNION ALL
    SELECT n.scheme, n.case_id
    FROM found AS f
    CROSS JOIN LATERAL (
        SELECT d.scheme, d.case_id FROM deferred AS d
        WHERE d.taken_at IS NULL AND (d.scheme, d.case_id) > (f.scheme, f.case_id)
        ORDER BY d.scheme, d.case_id
        LIMIT 1
    ) AS n
)
SELECT scheme, case_id FROM found LIMIT %b;

-- name: deferred_messages
-- The messages that wait for one case to be free, at most so many, in the order in which they came.
SELECT deferred_no, source, partition, position, key, body, headers
FROM deferred
WHERE scheme = %b AND case_id = %b AND taken_at IS NULL AND source IS NOT NULL
ORDER BY deferred_no
LIMIT %b;

-- name: deferred_receipts
-- The receipts that wait for one case to be free, at most so many, in the order in which they came.
SELECT deferred_no, message_id, body, rail
FROM deferred
WHERE scheme = %b AND case_id = %b AND taken_at IS NULL AND message_id IS NOT NULL
ORDER BY deferred_no
LIMIT %b;

-- name: take_deferred
-- Notes that these have been handled.
UPDATE deferred SET taken_at = %b WHERE deferred_no = ANY (%b::bigint[]);

-- name: waiting_for_cases
-- How many messages and receipts wait for a case to be free, and since when the longest.
SELECT count(*) FILTER (WHERE source IS NOT NULL) AS messages, count(*) FILTER (WHERE message_id IS NOT NULL) AS receipts, min(came_at) AS oldest
FROM deferred WHERE taken_at IS NULL;

-- name: deferred_astray
-- What waited for its case and is noted as handled, though nothing came of it; and messages that wait, though they were taken in. A
-- receipt may wait that was settled before: the queue handed it out again.
SELECT NULL::bigint, d.deferred_no::text,
       CASE WHEN d.taken_at IS NULL THEN 'waits for its case, though it was taken in' ELSE 'waited for its case, and is nowhere' END
FROM deferred AS d
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM messages AS m WHERE m.source = d.source AND m.partition = d.partition AND m.position = d.position)
           OR EXISTS (SELECT FROM dead_letters AS l WHERE l.source = d.source AND l.partition = d.partition AND l.position = d.position)
           AS message,
           EXISTS (SELECT FROM receipts AS r WHERE r.message_id = d.message_id AND r.digest = sha256(d.body)) AS receipt
) AS t
WHERE CASE WHEN d.taken_at IS NULL THEN t.message ELSE NOT t.message AND NOT t.receipt END;
