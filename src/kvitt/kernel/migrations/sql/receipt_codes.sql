-- name: receipts_after
-- The next receipts after a number, with what they were taken for and their bytes.
SELECT receipt_no, outcome, body FROM receipts WHERE receipt_no > %s ORDER BY receipt_no LIMIT %s;

-- name: store_codes
-- Stores the codes of receipts.
UPDATE receipts AS r SET code = w.code FROM unnest(%s::bigint[], %s::text[]) AS w (receipt_no, code) WHERE r.receipt_no = w.receipt_no;
