-- name: add_audit
-- Appends to audit chains; the primary key refuses two entries at one place of a chain.
INSERT INTO audit (chain, seq, at, what, message_no, order_id, receipt_no, digest, note, hash)
SELECT * FROM unnest(%b::bigint[], %b::integer[], %b::timestamptz[], %b::text[], %b::bigint[], %b::uuid[], %b::bigint[], %b::bytea[],
                     %b::text[], %b::bytea[]);
