-- name: twins
-- Lines of an order beside lines of other payments that pay the same person's class on some of the same days, by what was not refused.
WITH own AS (
    SELECT l.position, l.line_id, l.refers_to, l.payment_id, l.class_code, l.start_on, l.end_on
    FROM kvitt_views.order_lines AS l
    WHERE l.order_id = %(order_id)s AND l.ceased_from IS NULL AND l.amount_kroner > 0
    ORDER BY l.position LIMIT %(lines)s
), among AS (
    SELECT %(case_no)s::bigint AS case_no
    UNION
    (SELECT p.case_no FROM kvitt_views.persons AS this JOIN kvitt_views.persons AS p ON p.ordered_for = this.ordered_for
     WHERE this.case_no = %(case_no)s ORDER BY p.case_no LIMIT %(cases)s)
)
SELECT w.position, o.order_id AS other_order_id, l.position AS other_position
FROM among AS c
JOIN kvitt_views.orders AS o ON o.case_no = c.case_no
JOIN kvitt_views.order_lines AS l ON l.order_id = o.order_id
JOIN own AS w ON w.class_code = l.class_code AND w.start_on <= l.end_on AND w.end_on >= l.start_on
WHERE o.state NOT IN ('rejected', 'withdrawn') AND l.ceased_from IS NULL AND l.amount_kroner > 0
  AND l.payment_id <> w.payment_id AND l.line_id IS DISTINCT FROM w.refers_to AND w.line_id IS DISTINCT FROM l.refers_to
  AND (o.order_id <> %(order_id)s OR l.position > w.position)
ORDER BY o.made_at DESC, o.order_id, w.position, l.position
LIMIT %(limit)s;

-- name: lines_named
-- Lines with their orders, and whether some of what their payment pays on these days is in force.
SELECT o.order_id, l.position, o.number, o.case_no, o.scheme, o.case_id, o.area, o.state, o.made_at, o.message_no, l.payment_id, l.line_id,
       l.decision_id, l.class_code, l.start_on, l.end_on, l.amount_kroner, l.rate_type, l.caseworker, l.approver,
       EXISTS (SELECT FROM kvitt_views.payment_spans AS s
               WHERE s.case_no = o.case_no AND s.payment_id = l.payment_id AND s.is_in_force AND s.start_on <= l.end_on
                 AND s.end_on >= l.start_on) AS is_in_force
FROM unnest(%(order_ids)s::uuid[], %(positions)s::smallint[]) AS n (order_id, position)
JOIN kvitt_views.order_lines AS l ON l.order_id = n.order_id AND l.position = n.position
JOIN kvitt_views.orders AS o ON o.order_id = n.order_id;

-- name: receipts_of_orders
-- The receipts of each of some orders.
SELECT r.order_id, r.receipt_no, r.received_at, r.severity, r.code, r.note, r.outcome
FROM unnest(%(order_ids)s::uuid[]) AS o (order_id)
CROSS JOIN LATERAL (SELECT * FROM kvitt_views.receipts WHERE order_id = o.order_id OFFSET 0) AS r
ORDER BY r.receipt_no LIMIT %(limit)s;

-- name: acts_on_orders
-- What people did to some orders.
SELECT seq, at, what, subject, done_by, approved_by, reason
FROM kvitt_views.operator_acts WHERE subject = ANY (%(subjects)s::text[]) ORDER BY seq LIMIT %(limit)s;

-- name: released
-- Orders that people have released before a place in their chain, newest first.
SELECT a.seq, a.at, a.done_by, a.approved_by, a.reason, o.order_id, o.case_no, o.scheme, o.case_id, o.area, o.state, o.is_held, o.sum_kroner
FROM (SELECT seq, at, subject, done_by, approved_by, reason FROM kvitt_views.operator_acts
      WHERE what = 'release' AND (%(before)s::bigint IS NULL OR seq < %(before)s::bigint) ORDER BY seq DESC LIMIT %(limit)s) AS a
JOIN kvitt_views.orders AS o ON o.order_id = a.subject::uuid
ORDER BY a.seq DESC;
