-- name: orders_to_choose
-- Orders of a case, newest first.
SELECT order_id, number, area, state, made_at FROM kvitt_views.orders
WHERE case_no = %(case_no)s ORDER BY number DESC LIMIT %(limit)s;

-- name: spans_around_order
-- What the payments that an order changes pay after it, and what they paid before it: by the newest version that was accepted before its own.
WITH changed AS (
    SELECT payment_id, version FROM kvitt_views.payments WHERE case_no = %(case_no)s AND order_id = %(order_id)s
), before AS (
    SELECT c.payment_id, (SELECT max(p.version) FROM kvitt_views.payments AS p
                          WHERE p.case_no = %(case_no)s AND p.payment_id = c.payment_id AND p.version < c.version
                            AND p.state = 'accepted') AS version
    FROM changed AS c
)
SELECT true AS is_after, s.start_on, s.end_on, s.amount_kroner, s.rate_type
FROM changed AS c
JOIN kvitt_views.payment_spans AS s ON s.case_no = %(case_no)s AND s.payment_id = c.payment_id AND s.version = c.version
UNION ALL
SELECT false, s.start_on, s.end_on, s.amount_kroner, s.rate_type
FROM before AS b
JOIN kvitt_views.payment_spans AS s ON s.case_no = %(case_no)s AND s.payment_id = b.payment_id AND s.version = b.version
LIMIT %(limit)s;

-- name: spans_by_now
-- What is in force, and what would be once all open orders were accepted.
SELECT v.is_after, s.start_on, s.end_on, s.amount_kroner, s.rate_type
FROM kvitt_views.payment_spans AS s
CROSS JOIN (VALUES (false), (true)) AS v (is_after)
WHERE s.case_no = %(case_no)s
  AND CASE WHEN NOT v.is_after THEN s.is_in_force
           WHEN s.state = 'pending' THEN true
           ELSE s.is_in_force AND NOT EXISTS (SELECT FROM kvitt_views.payments AS p
                                              WHERE p.case_no = s.case_no AND p.payment_id = s.payment_id AND p.state = 'pending') END
LIMIT %(limit)s;

-- name: lines_around_order
-- Lines of orders that were accepted before an order, and its own; of all that were accepted, where no order is named.
SELECT o.number, l.line_id, l.refers_to, l.class_code, l.start_on, l.end_on, l.amount_kroner, l.ceased_from
FROM kvitt_views.orders AS o JOIN kvitt_views.order_lines AS l ON l.order_id = o.order_id
WHERE o.case_no = %(case_no)s
  AND (o.order_id = %(order_id)s OR o.state = 'accepted' AND (%(number)s::integer IS NULL OR o.number < %(number)s))
ORDER BY o.number, l.position
LIMIT %(limit)s;
