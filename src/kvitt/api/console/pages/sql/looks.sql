-- name: looks
-- Looks before a place, newest first.
SELECT look_no, looked_at, looked_by, name, what, case_no, scheme, case_id
FROM kvitt_views.looks
WHERE look_no < coalesce(%(before)s::bigint, 9223372036854775807)
ORDER BY look_no DESC
LIMIT %(limit)s;
