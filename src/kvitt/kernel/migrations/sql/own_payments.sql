-- name: write_values
-- Gives records that tell of a payment the bytes that they told by reference, in a span of the outbox after a number; gives the last
-- number of the span, NULL behind the end, and how many records there were.
WITH span AS (
    SELECT max(outbox_no) AS last FROM (
        SELECT outbox_no FROM outbox WHERE outbox_no > coalesce(%(after)s::bigint, 0) ORDER BY outbox_no LIMIT %(batch)s
    ) AS s
), told AS (
    UPDATE outbox AS o SET value = p.document
    FROM payments AS p, span
    WHERE o.outbox_no > coalesce(%(after)s::bigint, 0) AND o.outbox_no <= span.last AND o.value IS NULL
      AND p.case_no = o.case_no AND p.payment_id = o.payment_id AND p.version = o.version
    RETURNING o.outbox_no
)
SELECT last::text AS after, (SELECT count(*) FROM told) AS rows FROM span;

-- name: payments_after
-- The next versions of payments after one of them, in the order of their key.
SELECT case_no, payment_id::text, version, document, area, action FROM payments
WHERE (case_no, payment_id, version) > (%s, %s::uuid, %s) ORDER BY case_no, payment_id, version LIMIT %s;

-- name: store_documents
-- Stores the documents of versions in their new form.
UPDATE payments AS p SET document = d.document
FROM unnest(%s::bigint[], %s::uuid[], %s::integer[], %s::bytea[]) AS d (case_no, payment_id, version, document)
WHERE p.case_no = d.case_no AND p.payment_id = d.payment_id AND p.version = d.version;

-- name: prove_by_value
-- Proves of all records that each which tells of a payment has its bytes.
ALTER TABLE outbox VALIDATE CONSTRAINT outbox_payments_by_value;
