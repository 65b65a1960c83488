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
