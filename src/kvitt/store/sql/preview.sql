-- name: find_case
-- A case as `lock_cases` gives it, without a lock; no row: it is not known.
SELECT case_no, scheme, case_id, person, areas, orders_made, open_orders, waiting, audit_seq, audit_hash, last_at, unknown,
       contradictions
FROM cases
WHERE scheme = %s AND case_id = %s;
