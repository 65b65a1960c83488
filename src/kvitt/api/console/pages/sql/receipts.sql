-- name: receipts
-- Receipts before a number, newest first, of so many that are looked through, each with the order that it is about.
WITH looked AS (
    SELECT receipt_no, rail, received_at, severity, code, note, outcome, is_open, order_id
    FROM kvitt_views.receipts
    WHERE receipt_no < %(before)s
    ORDER BY receipt_no DESC
    LIMIT %(looked_through)s
), shown AS (
    SELECT * FROM looked
    WHERE (%(outcome)s::text IS NULL OR outcome = %(outcome)s) AND (%(code)s::text IS NULL OR code = %(code)s)
      AND (%(rail)s::text IS NULL OR rail = %(rail)s)
    ORDER BY receipt_no DESC
    LIMIT %(limit)s
)
SELECT s.receipt_no, s.rail, s.received_at, s.severity, s.code, s.note, s.outcome, s.is_open, o.order_id, o.case_no, o.scheme, o.case_id
FROM shown AS s LEFT JOIN kvitt_views.orders AS o ON o.order_id = s.order_id
ORDER BY s.receipt_no DESC;

-- name: open_receipts
-- Those that wait for a person, before a number, newest first: they are few.
WITH shown AS (
    SELECT receipt_no, rail, received_at, severity, code, note, outcome, order_id
    FROM kvitt_views.open_receipts
    WHERE receipt_no < %(before)s AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s) AND (%(code)s::text IS NULL OR code = %(code)s)
      AND (%(rail)s::text IS NULL OR rail = %(rail)s)
    ORDER BY receipt_no DESC
    LIMIT %(limit)s
)
SELECT s.receipt_no, s.rail, s.received_at, s.severity, s.code, s.note, s.outcome, true AS is_open, o.order_id, o.case_no, o.scheme, o.case_id
FROM shown AS s LEFT JOIN kvitt_views.orders AS o ON o.order_id = s.order_id
ORDER BY s.receipt_no DESC;

-- name: end_of_look
-- The last receipt that was looked through, if there are more behind it.
SELECT receipt_no, received_at FROM kvitt_views.receipts WHERE receipt_no < %(before)s ORDER BY receipt_no DESC OFFSET %(looked_through)s - 1 LIMIT 1;
