-- name: ask
-- Keeps an act that a person asks for, with what it would do.
INSERT INTO approvals (act, arguments, subject, asked_by, asked_issuer, asked_name, reason, effect, basis, asked_at, lapses_at)
VALUES (%(act)s, %(arguments)s, %(subject)s, %(asked_by)s, %(issuer)s, %(called)s, %(reason)s, %(effect)s, %(basis)s, %(now)s,
        %(lapses_at)s)
RETURNING approval_no;

-- name: approvals
-- Acts that were asked for, newest first; `states` null means in any state.
SELECT approval_no, act, arguments, subject, asked_by, reason, effect, basis, asked_at, lapses_at, state, changed_at, decided_at,
       decided_by, decided_because, outcome, asked_issuer, asked_name, decided_issuer, decided_name, first_effect
FROM approvals
WHERE %(states)s::text[] IS NULL OR state = ANY (%(states)s::text[])
ORDER BY approval_no DESC
LIMIT %(limit)s;

-- name: approval
-- One act that was asked for.
SELECT approval_no, act, arguments, subject, asked_by, reason, effect, basis, asked_at, lapses_at, state, changed_at, decided_at,
       decided_by, decided_because, outcome, asked_issuer, asked_name, decided_issuer, decided_name, first_effect
FROM approvals
WHERE approval_no = %(approval_no)s;

-- name: lock_approval
-- Locks an act that was asked for, so that one person at a time decides about it.
SELECT approval_no FROM approvals WHERE approval_no = %(approval_no)s FOR UPDATE;

-- name: change_effect
-- What an act would do is another thing now than what was shown.
UPDATE approvals
SET effect = %(effect)s, basis = %(basis)s, changed_at = %(now)s, first_effect = coalesce(first_effect, effect)
WHERE approval_no = %(approval_no)s AND state = 'asked';

-- name: decide_approval
-- Ends an approval that is still open; no row: it is decided already.
UPDATE approvals
SET state = %(state)s, decided_at = %(now)s, decided_by = %(by)s, decided_issuer = %(issuer)s, decided_name = %(called)s,
    decided_because = %(reason)s, outcome = %(outcome)s, entries = %(entries)s
WHERE approval_no = %(approval_no)s AND state = 'asked'
RETURNING approval_no;

-- name: lapsed
-- Approvals that nobody has decided about in time; those that somebody decides about now are left to them.
SELECT approval_no FROM approvals WHERE state = 'asked' AND lapses_at <= %(now)s ORDER BY approval_no FOR UPDATE SKIP LOCKED;

-- name: entries_of_approval
-- How many entries of the operators' chain carry an approval's number.
SELECT count(*)
FROM audit AS a
WHERE a.chain = 0 AND a.seq > %(after)s AND (a.note::jsonb ->> 'approval')::bigint = %(approval_no)s;

-- name: end_of_operators
-- Where the operators' chain ends now.
SELECT audit_seq FROM operators WHERE chain = 0;

-- name: not_as_noted
-- Approvals that were confirmed otherwise than two people in the operators' chain say, or whose acts are not there; entries that name an
-- approval by which nothing was done.
WITH entries AS (
    SELECT a.seq, a.what, a.note::jsonb ->> 'by' AS by, a.note::jsonb ->> 'approved_by' AS approved_by, a.note::jsonb ->> 'reason' AS reason,
           (a.note::jsonb ->> 'approval')::bigint AS approval_no
    FROM audit AS a
    WHERE a.chain = 0 AND a.note LIKE '%%"approval":%%'
)
SELECT null::bigint, 'approval ' || p.approval_no, 'is confirmed, and the operators'' chain has not its act by the same two people'
FROM approvals AS p
WHERE p.state = 'confirmed'
  AND p.entries IS DISTINCT FROM (
      SELECT count(*) FROM entries AS e
      WHERE e.approval_no = p.approval_no AND e.by = p.asked_by AND e.approved_by = p.decided_by AND e.reason = p.reason
        AND e.what NOT LIKE 'approval %%')
UNION ALL
SELECT null::bigint, 'approval ' || p.approval_no, 'is ' || p.state || ', and the operators'' chain does not have it once'
FROM approvals AS p
WHERE p.state <> 'asked' AND 1 <> (SELECT count(*) FROM entries AS e WHERE e.approval_no = p.approval_no AND e.what = 'approval ' || p.state)
UNION ALL
SELECT null::bigint, 'approval ' || p.approval_no, 'was asked for, and the operators'' chain does not have it'
FROM approvals AS p
WHERE NOT EXISTS (SELECT FROM entries AS e WHERE e.approval_no = p.approval_no AND e.what = 'approval asked' AND e.by = p.asked_by)
UNION ALL
SELECT null::bigint, 'operators:' || e.seq, 'has an act by approval ' || e.approval_no || ', which was not confirmed'
FROM entries AS e
WHERE e.what NOT LIKE 'approval %%' AND e.approval_no IS NOT NULL
  AND NOT EXISTS (SELECT FROM approvals AS p WHERE p.approval_no = e.approval_no AND p.state = 'confirmed');

-- name: confirmed_by
-- Who asked for, and who confirmed, each approval that was confirmed.
SELECT approval_no, asked_by, asked_issuer, asked_name, decided_by, decided_issuer, decided_name
FROM approvals WHERE state = 'confirmed' ORDER BY approval_no;
