-- name: lock_requests
-- Takes the right to begin and end requests until the end of the transaction, in one order: two who end some and begin others at once would
-- else wait for each other.
SELECT count(pg_advisory_xact_lock(w.key)) FROM (
    SELECT DISTINCT hashtextextended(k.subject || ' ' || k.key, 15) AS key
    FROM unnest(%b::text[], %b::text[]) AS k (subject, key) ORDER BY key OFFSET 0
) AS w;

-- name: begin_requests
-- Takes requests that are new, or the same ones again that were never answered and that nobody is at work on any more.
INSERT INTO rest.requests AS r (subject, key, digest, first_at, busy_until)
SELECT w.subject, w.key, w.digest, %(now)b, %(until)b
FROM unnest(%(subjects)b::text[], %(keys)b::text[], %(digests)b::bytea[]) AS w (subject, key, digest)
ON CONFLICT (subject, key) DO UPDATE SET busy_until = excluded.busy_until, tries = r.tries + 1
WHERE r.digest = excluded.digest AND r.status IS NULL AND r.busy_until < %(now)b
RETURNING r.subject, r.key, r.first_at, r.tries > 1 AS again;

-- name: requests
-- What is known of requests.
SELECT r.subject, r.key, r.digest, r.status, r.content_type, r.body
FROM unnest(%(subjects)b::text[], %(keys)b::text[]) AS w (subject, key) JOIN rest.requests AS r ON r.subject = w.subject AND r.key = w.key;

-- name: answer_requests
-- Keeps the answers to requests.
UPDATE rest.requests SET status = w.status, content_type = w.content_type, body = w.body
FROM unnest(%b::text[], %b::text[], %b::smallint[], %b::text[], %b::bytea[]) AS w (subject, key, status, content_type, body)
WHERE requests.subject = w.subject AND requests.key = w.key AND requests.status IS NULL;

-- name: release_requests
-- Leaves requests that have no answer yet to whoever asks next.
UPDATE rest.requests SET busy_until = '-infinity'
FROM unnest(%b::text[], %b::text[]) AS w (subject, key)
WHERE requests.subject = w.subject AND requests.key = w.key AND requests.status IS NULL;
