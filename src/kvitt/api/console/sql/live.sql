-- name: changes
-- How much of each part has changed since the server began to count.
SELECT part, changes FROM kvitt_views.changes;

-- name: sessions_that_last
-- Those of these sessions that have not ended.
SELECT session_hash
FROM console.sessions
WHERE session_hash = ANY(%(sessions)s) AND ended_at IS NULL AND ends_at > %(now)s AND seen_at > %(idle_since)s;

-- name: roles
-- How the roles of all processes do; of those that were not seen for a day nothing.
SELECT role, condition, since, at_fault, seen_at, answers FROM kvitt_views.roles WHERE seen_at > now() - interval '1 day' ORDER BY seen_at DESC;
