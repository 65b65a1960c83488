-- name: define_job
-- Makes a job known, or notes that it has another timetable by now, which holds from now on.
INSERT INTO jobs AS j (name, timetable, catch_up, next_due, next_try)
VALUES (%(name)s, %(timetable)s, %(catch_up)s, %(next_due)s, %(next_due)s)
ON CONFLICT (name) DO UPDATE
SET timetable = excluded.timetable, catch_up = excluded.catch_up,
    next_due = CASE WHEN j.timetable = excluded.timetable THEN j.next_due ELSE excluded.next_due END,
    next_try = CASE WHEN j.timetable = excluded.timetable THEN j.next_try ELSE excluded.next_try END
WHERE (j.timetable, j.catch_up) IS DISTINCT FROM (excluded.timetable, excluded.catch_up);

-- name: due_jobs
-- Which of these jobs are due, the longest one first; those too that ran at a time which, by a clock that was set back, is yet to come.
SELECT name FROM jobs
WHERE name = ANY (%(names)s::text[]) AND (next_try <= %(now)s OR (catch_up = 'last' AND last_run > %(ahead)s))
ORDER BY next_due, name;

-- name: lock_due_job
-- Locks a job that is due, and returns for when, and whether it ran at a time that is yet to come; no row: it is not due any more, or
-- somebody is at it.
SELECT next_due, catch_up = 'last' AND coalesce(last_run > %(ahead)s, false) AS clock_went_back FROM jobs
WHERE name = %(name)s AND (next_try <= %(now)s OR (catch_up = 'last' AND last_run > %(ahead)s))
FOR UPDATE SKIP LOCKED;

-- name: lock_job
-- Locks a job, due or not, and returns for when it is due next.
SELECT next_due FROM jobs WHERE name = %(name)s FOR UPDATE;

-- name: job_done
-- A job was run for a due time, under the fencing token of its lease; no row: another owner came after that one.
UPDATE jobs
SET state = 'scheduled', last_due = %(due)s, last_run = %(now)s, next_due = %(next_due)s, next_try = %(next_due)s, tries = 0,
    outcome = %(outcome)s, fencing_token = %(token)s
WHERE name = %(name)s AND fencing_token <= %(token)s
RETURNING name;

-- name: job_failed
-- A job could not be run for its due time, which is kept; returns how often in a row that was so.
UPDATE jobs SET state = 'failed', last_run = %(now)s, tries = tries + 1, outcome = %(outcome)s
WHERE name = %(name)s
RETURNING tries;

-- name: try_job_again
-- When a job that failed is tried again.
UPDATE jobs SET next_try = %(next_try)s WHERE name = %(name)s;

-- name: last_run
-- When any job was run last; NULL: none was ever.
SELECT max(last_run) FROM jobs;

-- name: jobs
-- All jobs, with whoever is at work on one now.
SELECT j.name, j.timetable, j.catch_up, j.next_due, j.last_due, j.last_run, j.tries, j.outcome,
       CASE WHEN l.until > now() THEN 'running' ELSE j.state END AS state
FROM jobs AS j LEFT JOIN leases AS l ON l.lease = 'job:' || j.name
ORDER BY j.name;
