-- name: begin_request
-- Takes a request that is new, or the same one again that was never answered and that nobody is at work on any more.
INSERT INTO rest.requests AS r (subject, key, digest, first_at, busy_until)
VALUES (%(subject)b, %(key)b, %(digest)b, %(now)b, %(until)b)
ON CONFLICT (subject, key) DO UPDATE SET busy_until = excluded.busy_until, tries = r.tries + 1
WHERE r.digest = excluded.digest AND r.status IS NULL AND r.busy_until < %(now)b
RETURNING first_at, tries > 1 AS again;

-- name: request
-- What is known of a request.
SELECT digest, status, content_type, body FROM rest.requests WHERE subject = %(subject)b AND key = %(key)b;

-- name: answer_request
-- Keeps the answer to a request.
UPDATE rest.requests SET status = %(status)b::smallint, content_type = %(content_type)b, body = %(body)b
WHERE subject = %(subject)b AND key = %(key)b AND status IS NULL;

-- name: release_request
-- Leaves a request that has no answer yet to whoever asks next.
UPDATE rest.requests SET busy_until = '-infinity' WHERE subject = %(subject)b AND key = %(key)b AND status IS NULL;
