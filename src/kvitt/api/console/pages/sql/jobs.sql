-- name: jobs
-- All jobs; those that failed first.
SELECT name, timetable, next_due, last_run, state, tries, outcome FROM kvitt_views.jobs ORDER BY state = 'failed' DESC, name;

-- name: leases
-- Who owns what.
SELECT lease, owner, fencing_token, until, is_held FROM kvitt_views.leases ORDER BY lease LIMIT 500;
