-- The reads of one order for an operator, all in one read-only snapshot.

-- name: order_row
-- The order with its case and the message that it was made for, and what the rail says against what stands of it.
SELECT o.order_id::text, o.case_no, c.scheme, c.case_id, o.area, o.number, o.message_no, m.source, m.partition, m.position,
       coalesce(convert_from(m.key, 'UTF8'), ''), o.state, o.is_first_order, o.held_for::text, o.decided_by_hand,
       (SELECT k.rails FROM contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL), o.was_unknown, o.resends,
       o.made_at, o.sending_at, o.sent_at, o.settled_at, o.receipt_no, o.correlation_time, o.message
FROM orders AS o
JOIN cases AS c ON c.case_no = o.case_no
LEFT JOIN messages AS m ON m.message_no = o.message_no
WHERE o.order_id = %(order_id)s;

-- name: lines_of_order
-- Its lines in order.
SELECT l.position, l.line_id, l.refers_to, l.payment_id::text, l.class_code, l.start_on, l.end_on, l.amount, l.decided_rate, l.ceased_from,
       l.decision_id
FROM order_lines AS l WHERE l.order_id = %(order_id)s ORDER BY l.position;

-- name: receipts_of_order
-- The receipts that answer it, as they came in.
SELECT receipt_no, received_at, severity, outcome, note FROM receipts WHERE order_id = %(order_id)s ORDER BY receipt_no;

-- name: alarms_of_order
-- The alarms about it, oldest first.
SELECT alarm_no, sent_at, raised_at, cleared_at FROM alarms WHERE order_id = %(order_id)s ORDER BY alarm_no;

-- name: contradictions_of_order
-- What the rail said against what stands of it, and what two people made of that, oldest first.
SELECT contradiction_no, receipt_no, ours, rails, found_at, resolved_at, resolution, resolved_by, approved_by, reason
FROM contradictions WHERE order_id = %(order_id)s ORDER BY contradiction_no;

-- name: noted_of_order
-- What its case's audit chain has of it.
SELECT seq, at, what FROM audit WHERE chain = %(case_no)s AND order_id = %(order_id)s ORDER BY seq;

-- name: acts_on_order
-- What operators did to it, oldest first; walks their chain, which has an entry for each act of a person.
SELECT at, what, note FROM audit WHERE chain = 0 AND note LIKE '%%"subject":"' || %(order_id)s || '%%' ORDER BY seq;
