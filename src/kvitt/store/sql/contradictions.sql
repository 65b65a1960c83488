-- Contradictions: what the rail said against what stands, and what two people made of it.

-- name: open_contradictions
-- Opens contradictions; an order that has an open one keeps it.
INSERT INTO contradictions (case_no, order_id, receipt_no, ours, rails, found_at)
SELECT k.case_no, k.order_id, k.receipt_no, k.ours, k.rails, k.found_at
FROM unnest(%b::bigint[], %b::uuid[], %b::bigint[], %b::text[], %b::text[], %b::timestamptz[])
     WITH ORDINALITY AS k (case_no, order_id, receipt_no, ours, rails, found_at, place)
ORDER BY k.place;

-- name: hold_orders
-- Holds the open orders of cases for a reason that they may have already: also those on their way, which may come back to be sent again.
UPDATE orders AS o
SET held_for = o.held_for || r.reason
FROM unnest(%b::bigint[]) AS w (case_no), (SELECT %b::text) AS r (reason)
WHERE o.case_no = w.case_no AND o.state IN ('ready', 'sending', 'sent', 'unknown') AND r.reason <> ALL (o.held_for);

-- name: list_contradictions
-- The open contradictions with what their receipts said, longest open first.
SELECT k.contradiction_no, c.scheme, c.case_id, k.order_id::text, o.area, k.receipt_no, k.ours, o.decided_by_hand, k.rails, r.grade,
       coalesce(r.note, ''), k.found_at, k.resolved_at, k.resolution, k.resolved_by, k.approved_by, k.reason
FROM contradictions AS k
JOIN orders AS o ON o.order_id = k.order_id
JOIN cases AS c ON c.case_no = k.case_no
LEFT JOIN receipts AS r ON r.receipt_no = k.receipt_no
WHERE k.resolved_at IS NULL
ORDER BY k.found_at, k.contradiction_no
LIMIT %(limit)s;
