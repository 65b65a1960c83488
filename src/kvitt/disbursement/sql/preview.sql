-- name: find_case
-- A case as `lock_cases` returns it, without a lock, and whether something came for it that is not handled yet; no row: it is not known.
SELECT c.case_no, c.scheme, c.case_id, c.person, c.areas, c.orders_made, c.open_orders, c.queued, c.audit_seq, c.last_event_hash, c.last_at,
       c.unknown, c.contradictions, c.contract, c.frame_start, c.cap_kroner, c.numbered, c.ordered_for, c.opened_for,
       EXISTS (SELECT FROM deferred AS d WHERE d.scheme = c.scheme AND d.case_id = c.case_id AND d.taken_at IS NULL) AS deferred
FROM cases AS c
WHERE c.scheme = %s AND c.case_id = %s;
