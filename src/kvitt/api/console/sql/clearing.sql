-- What the console need not keep any more, so many rows at a time.

-- name: forget_sessions
-- Sessions that ended long ago.
DELETE FROM console.sessions WHERE session_hash IN (
    SELECT session_hash FROM console.sessions WHERE ends_at < %(kept_since)s ORDER BY ends_at LIMIT %(limit)s
);

-- name: forget_revealed
-- Whom sessions showed that can not be used any more.
DELETE FROM console.revealed_cases WHERE (session_hash, case_no) IN (
    SELECT session_hash, case_no FROM console.revealed_cases WHERE revealed_at < %(used_since)s ORDER BY revealed_at LIMIT %(limit)s
);

-- name: forget_forms
-- Forms of sessions that can not be used any more.
DELETE FROM console.done_forms WHERE (session_hash, form_hash) IN (
    SELECT session_hash, form_hash FROM console.done_forms WHERE done_at < %(used_since)s ORDER BY done_at LIMIT %(limit)s
);

-- name: forget_looks
-- Looks that are older than they are kept, the first ones first: they are numbered as they came.
DELETE FROM console.looks
WHERE looked_at < %(kept_since)s AND look_no < (SELECT min(look_no) FROM console.looks) + %(limit)s;

-- name: forget_owners
-- Owners that leases had long ago; the last one of each stays.
DELETE FROM lease_owners WHERE (lease, fencing_token) IN (
    SELECT o.lease, o.fencing_token
    FROM lease_owners AS o
    WHERE o.since < %(watched_since)s
      AND NOT EXISTS (SELECT FROM leases AS l WHERE l.lease = o.lease AND l.fencing_token = o.fencing_token)
    ORDER BY o.since
    LIMIT %(limit)s
);

-- name: forget_checks
-- Checks of long ago; the last one stays, and the last one that found nothing.
DELETE FROM check_runs WHERE run_no IN (
    SELECT run_no FROM check_runs
    WHERE ended_at < %(kept_since)s AND run_no <> (SELECT max(run_no) FROM check_runs)
      AND run_no IS DISTINCT FROM (SELECT max(run_no) FROM check_runs WHERE differences = 0)
    ORDER BY run_no
    LIMIT %(limit)s
);

-- name: forget_figures
-- How far the hub was behind, when nobody looks at that any more.
DELETE FROM keeping_up WHERE at IN (SELECT at FROM keeping_up WHERE at < %(watched_since)s ORDER BY at LIMIT %(limit)s);
