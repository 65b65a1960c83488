-- name: add_audit
-- Appends to audit chains; the primary key refuses two entries at one place of a chain.
INSERT INTO audit (chain, seq, at, what, message_no, order_id, receipt_no, digest, note, hash)
SELECT * FROM unnest(%b::bigint[], %b::integer[], %b::timestamptz[], %b::text[], %b::bigint[], %b::uuid[], %b::bigint[], %b::bytea[],
                     %b::text[], %b::bytea[]);

-- name: end_of_operators
-- Locks the row that says where the operators' audit chain ends.
SELECT audit_seq, last_event_hash, last_at FROM operators WHERE chain = 0 FOR UPDATE;

-- name: step_operators
-- Writes where the operators' audit chain ends.
UPDATE operators SET audit_seq = %s, last_event_hash = %s, last_at = %s WHERE chain = 0;
