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

-- name: starts
-- How often each role was started within each hour of the last day: by the processes that say so, and those that have ended but owned something.
WITH started AS (
    SELECT s.role, s.process, min(s.at) AS at
    FROM (SELECT role, process, began_at AS at FROM kvitt_views.roles
          UNION ALL
          SELECT split_part(lease, ':', 1), owner, since FROM kvitt_views.lease_owners WHERE since > now() - interval '1 day') AS s
    GROUP BY s.role, s.process
)
SELECT role, date_trunc('hour', at, 'UTC') AS hour, count(*) AS starts
FROM started WHERE at > now() - interval '1 day'
GROUP BY 1, 2 ORDER BY 1, 2;
