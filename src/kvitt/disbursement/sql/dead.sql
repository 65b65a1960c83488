-- name: list_dead_letters
-- Dead letters, newest first; only those in a state when one is given.
SELECT dead_no AS number, source, partition, position, key, length(body) AS size, reason, message_no, at, state, closed_at, closed_by, note
FROM dead_letters
WHERE %(state)s::text IS NULL OR state = %(state)s
ORDER BY dead_no DESC
LIMIT %(limit)s;

-- name: dead_letter
-- One dead letter with its bytes.
SELECT dead_no AS number, source, partition, position, key, body, headers, reason, message_no, at, state, closed_at, closed_by, note
FROM dead_letters
WHERE dead_no = %s;

-- name: close_dead_letter
-- Closes an open dead letter, as replayed or as dealt with; no row: it is closed already, or there is none.
UPDATE dead_letters
SET state = %(state)s, closed_at = %(now)s, closed_by = %(by)s, note = %(note)s
WHERE dead_no = %(dead_no)s AND state = 'open'
RETURNING dead_no;
