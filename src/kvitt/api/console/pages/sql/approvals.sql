-- name: open_approvals
-- Acts that wait for a second person, oldest first; only those of one person unless all are to be seen.
SELECT approval_no, act, subject, asked_by, asked_name, reason, asked_at, lapses_at, state, decided_at, decided_by, decided_name, outcome,
       asked_issuer = decided_issuer AND asked_by = decided_by AS is_taken_back
FROM kvitt_views.approvals
WHERE state = 'asked' AND (%(all)s OR (asked_issuer = %(issuer)s AND asked_by = %(person)s))
ORDER BY approval_no
LIMIT %(limit)s;

-- name: ended_approvals
-- Acts that were decided about, or lapsed, behind a place, newest first.
SELECT approval_no, act, subject, asked_by, asked_name, reason, asked_at, lapses_at, state, decided_at, decided_by, decided_name, outcome,
       asked_issuer = decided_issuer AND asked_by = decided_by AS is_taken_back
FROM kvitt_views.approvals
WHERE state <> 'asked' AND (%(before)s::bigint IS NULL OR approval_no < %(before)s)
  AND (%(all)s OR (asked_issuer = %(issuer)s AND asked_by = %(person)s))
ORDER BY approval_no DESC
LIMIT %(limit)s;

-- name: asked_in_month
-- What a person asked for between two moments.
SELECT approval_no, act, subject, asked_by, asked_name, reason, asked_at, lapses_at, state, decided_at, decided_by, decided_name, outcome,
       asked_issuer = decided_issuer AND asked_by = decided_by AS is_taken_back
FROM kvitt_views.approvals
WHERE asked_issuer = %(issuer)s AND asked_by = %(person)s AND asked_at >= %(since)s AND asked_at < %(until)s
ORDER BY asked_at DESC, approval_no DESC
LIMIT %(limit)s;

-- name: decided_in_month
-- What others asked for, and a person decided about between two moments.
SELECT approval_no, act, subject, asked_by, asked_name, reason, asked_at, lapses_at, state, decided_at, decided_by, decided_name, outcome,
       false AS is_taken_back
FROM kvitt_views.approvals
WHERE decided_issuer = %(issuer)s AND decided_by = %(person)s AND decided_at >= %(since)s AND decided_at < %(until)s
  AND (asked_issuer, asked_by) IS DISTINCT FROM (%(issuer)s, %(person)s)
ORDER BY decided_at DESC, approval_no DESC
LIMIT %(limit)s;

-- name: order_in_short
-- The order that an act is about.
SELECT order_id, case_no, scheme, case_id, number, area, state, is_held, sum_kroner FROM kvitt_views.orders WHERE order_id = %(order_id)s;

-- name: amount_of_payout
-- How much a payout pays.
SELECT amount_minor, currency FROM kvitt_views.payouts WHERE payout_id = %(payout_id)s;

-- name: approval_version
-- How far an act has come, and what it is about.
SELECT act, subject, concat_ws('-', state, decided_at, lapses_at <= now()) AS progress FROM kvitt_views.approvals WHERE approval_no = %(approval_no)s;
