-- name: open_letters
-- Open dead letters before a place, newest first.
SELECT dead_no, source, partition, position, at, reason, size, message_no, state, closed_at, closed_by, note
FROM kvitt_views.dead_letters
WHERE state = 'open' AND dead_no < coalesce(%(before)s::bigint, 9223372036854775807)
ORDER BY dead_no DESC
LIMIT %(limit)s;

-- name: all_letters
-- Dead letters before a place, newest first.
SELECT dead_no, source, partition, position, at, reason, size, message_no, state, closed_at, closed_by, note
FROM kvitt_views.dead_letters
WHERE dead_no < coalesce(%(before)s::bigint, 9223372036854775807)
ORDER BY dead_no DESC
LIMIT %(limit)s;

-- name: letter
-- One dead letter.
SELECT dead_no, source, partition, position, at, reason, size, message_no, state, closed_at, closed_by, note
FROM kvitt_views.dead_letters WHERE dead_no = %(dead_no)s;

-- name: letter_text
-- Its bytes.
SELECT key, headers, body FROM kvitt_views.dead_letter_texts WHERE dead_no = %(dead_no)s;

-- name: letter_version
-- Whether anything about a dead letter has changed.
SELECT concat_ws('-', state, message_no, closed_at) FROM kvitt_views.dead_letters WHERE dead_no = %(dead_no)s;
