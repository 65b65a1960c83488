-- name: approvals
-- Approvals behind a place, newest first; those of one person unless all are to be seen, in one state if one is asked for.
SELECT approval_no, act, subject, asked_by, asked_name, reason, asked_at, lapses_at, state
FROM kvitt_views.approvals
WHERE (%(before)s::bigint IS NULL OR approval_no < %(before)s) AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(all)s OR (asked_issuer = %(issuer)s AND asked_by = %(person)s))
ORDER BY approval_no DESC
LIMIT %(limit)s;

-- name: case_of_order
-- The case of the order that an act is about.
SELECT case_no FROM kvitt_views.orders WHERE order_id = %(order_id)s;
