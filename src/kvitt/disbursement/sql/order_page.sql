-- The reads of one order for an operator, all in one read-only snapshot.

-- name: order_row
-- The order with its case and the message that it was made for, and what the rail says against what stands of it.
SELECT o.order_id::text, o.case_no, c.scheme, c.case_id, o.area, o.number, o.message_no, m.source, m.partition, m.position,
       coalesce(convert_from(m.key, 'UTF8'), '') AS key, o.state, o.is_first_order, o.held_for::text, o.decided_by_hand,
       (SELECT k.rails FROM contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL) AS rail_says, o.was_unknown, o.resends,
       o.made_at, o.sending_at, o.sent_at, o.settled_at, o.receipt_no, o.correlation_time, o.rail, o.key_day, o.message
FROM orders AS o
JOIN cases AS c ON c.case_no = o.case_no
LEFT JOIN messages AS m ON m.message_no = o.message_no
WHERE o.order_id = %(order_id)s;

-- name: alarms_of_order
-- The alarms about it, oldest first.
SELECT alarm_no, sent_at, raised_at, cleared_at FROM alarms WHERE order_id = %(order_id)s ORDER BY alarm_no;

-- name: check_of_order
-- How one order is checked before it leaves, and what was found.
SELECT k.mode, k.most_recovered, k.waits, k.times_asked, k.due_at, k.waits_for, k.ended_at, k.finding, k.request_no, k.recovered, k.note, k.refusal,
       (SELECT o.leaves_before FROM orders AS o WHERE o.order_id = k.order_id AND o.state = 'ready') AS leaves_before,
       coalesce(k.differences, '[]')::text AS differences, coalesce(k.picture, '[]')::text AS picture
FROM order_checks AS k WHERE k.order_id = %(order_id)s;
