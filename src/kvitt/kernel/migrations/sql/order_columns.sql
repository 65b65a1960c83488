-- name: orders_after
-- The next orders after one of them, by case and number, with their bytes.
SELECT case_no, number, order_id::text, message FROM orders WHERE (case_no, number) > (%s, %s) ORDER BY case_no, number LIMIT %s;

-- name: complete_lines
-- Gives lines the columns that they lack.
UPDATE order_lines AS l
SET rate_type = w.rate_type, decided_on = w.decided_on, caseworker = w.caseworker, approver = w.approver, recipient = w.recipient,
    office = w.office, grade = w.grade
FROM unnest(%s::uuid[], %s::smallint[], %s::text[], %s::date[], %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[])
     AS w (order_id, position, rate_type, decided_on, caseworker, approver, recipient, office, grade)
WHERE l.order_id = w.order_id AND l.position = w.position;

-- name: complete_orders
-- Gives orders the columns that they lack.
UPDATE orders AS o
SET day = (o.made_at AT TIME ZONE 'Europe/Oslo')::date,
    sum_kroner = (SELECT coalesce(sum(l.amount), 0) FROM order_lines AS l WHERE l.order_id = o.order_id)
WHERE o.order_id = ANY (%s::uuid[]);

-- name: prove_orders_complete
-- Proves that no order lacks a column.
ALTER TABLE orders VALIDATE CONSTRAINT orders_complete;

-- name: prove_lines_complete
-- Proves that no line lacks a column.
ALTER TABLE order_lines VALIDATE CONSTRAINT order_lines_complete;
