-- name: jobs
-- All jobs; those that failed first.
SELECT name, timetable, next_due, last_run, state, tries, outcome FROM kvitt_views.jobs ORDER BY state = 'failed' DESC, name;

-- name: leases
-- Who owns what.
SELECT lease, owner, fencing_token, since, until, is_held FROM kvitt_views.leases ORDER BY lease LIMIT 500;

-- name: changes
-- Leases that came to another owner in the last day, newest first, and which of them did in the last hour.
SELECT lease, owner, fencing_token, since, since > now() - interval '1 hour' AS is_recent
FROM kvitt_views.lease_owners
WHERE since > now() - interval '1 day'
ORDER BY since DESC, lease
LIMIT %(limit)s;
