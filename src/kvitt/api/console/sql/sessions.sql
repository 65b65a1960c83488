-- name: begin_login
-- A login under way, of a browser.
INSERT INTO console.logins (browser_hash, state_hash, nonce, verifier, next_path, begun_at)
VALUES (%(browser_hash)s, %(state_hash)s, %(nonce)s, %(verifier)s, %(next_path)s, %(now)s);

-- name: forget_logins
-- Takes out the logins whose browsers have not come back in time.
DELETE FROM console.logins WHERE begun_at < %(before)s;

-- name: logins_under_way
-- How many logins are under way, counted up to a bound.
SELECT count(*) FROM (SELECT FROM console.logins LIMIT %(most)s) AS l;

-- name: crowd_out_login
-- Takes out the login that was begun first.
DELETE FROM console.logins
WHERE browser_hash = (SELECT browser_hash FROM console.logins ORDER BY begun_at LIMIT 1 FOR UPDATE SKIP LOCKED);

-- name: take_login
-- The login of a browser, which is under way no more, whatever comes of it.
DELETE FROM console.logins WHERE browser_hash = %(browser_hash)s RETURNING state_hash, nonce, verifier, next_path, begun_at;

-- name: begin_session
-- A session of a person who has logged in.
INSERT INTO console.sessions (session_hash, issuer, person, name, roles, began_at, seen_at, ends_at, authenticated_at)
VALUES (%(session_hash)s, %(issuer)s, %(person)s, %(name)s, %(roles)s, %(now)s, %(now)s, %(ends_at)s, %(authenticated_at)s);

-- name: session
-- A session that has not ended, of a person of this issuer.
SELECT issuer, person, name, roles, began_at, seen_at, ends_at, authenticated_at
FROM console.sessions
WHERE session_hash = %(session_hash)s AND issuer = %(issuer)s AND ended_at IS NULL AND ends_at > %(now)s AND seen_at > %(idle_since)s;

-- name: see_session
-- A session is used.
UPDATE console.sessions SET seen_at = %(now)s WHERE session_hash = %(session_hash)s AND seen_at < %(now)s;

-- name: end_session
-- A session ends, by the word of its person.
UPDATE console.sessions SET ended_at = %(now)s WHERE session_hash = %(session_hash)s AND ended_at IS NULL;

-- name: begin_page
-- All that a page shows is of one moment, and takes a few seconds at most.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SET LOCAL statement_timeout = '5s';

-- name: begin_act
-- An act sees what others have committed meanwhile, and takes a while at most.
SET LOCAL statement_timeout = '30s';

-- name: begin_form
-- A form is done by this session, and waits for a first click that is not over; no row: it was done before.
INSERT INTO console.done_forms (session_hash, form_hash, done_at) VALUES (%(session_hash)s, %(form_hash)s, %(now)s)
ON CONFLICT DO NOTHING
RETURNING done_at;

-- name: answer_form
-- Where a form that was done led to.
UPDATE console.done_forms SET answer = %(answer)s WHERE session_hash = %(session_hash)s AND form_hash = %(form_hash)s;

-- name: answer_of_form
-- Where a form led to when it was done.
SELECT answer FROM console.done_forms WHERE session_hash = %(session_hash)s AND form_hash = %(form_hash)s;

-- name: give_up_form
-- A form was not done after all.
DELETE FROM console.done_forms WHERE session_hash = %(session_hash)s AND form_hash = %(form_hash)s;

-- name: count_soon
-- Pages that are live see at once what this transaction changes: the server counts it when it ends, and not some seconds later.
SELECT pg_stat_force_next_flush();

-- name: reveal_case
-- A session shows the person of a case from now on.
INSERT INTO console.revealed_cases (session_hash, case_no, revealed_at) VALUES (%(session_hash)s, %(case_no)s, %(now)s)
ON CONFLICT DO NOTHING;

-- name: is_revealed
-- Whether a session shows the person of a case.
SELECT EXISTS (SELECT FROM console.revealed_cases WHERE session_hash = %(session_hash)s AND case_no = %(case_no)s);

-- name: persons_of_case
-- The persons of a case, by whatever name.
SELECT unnest(ARRAY[p.person, p.ordered_for]) FROM kvitt_views.persons AS p WHERE p.case_no = %(case_no)s;
