-- The reads of one case for an operator, all in one read-only snapshot.

-- name: case_row
-- The case by its scheme and id.
SELECT case_no, person, areas, orders_made, open_orders FROM cases WHERE scheme = %(scheme)s AND case_id = %(case_id)s;

-- name: messages
-- The messages of a case in the order in which they came in.
SELECT message_no, source, partition, position, coalesce(convert_from(key, 'UTF8'), '') AS key, state, dry_run, received_at, derived_at, answered_at, body, answer
FROM messages WHERE case_no = %(case_no)s ORDER BY message_no;

-- name: deferred
-- The messages and receipts that wait because somebody else has locked the case, in the order in which they came.
SELECT deferred_no, came_at, source, partition, position, coalesce(convert_from(key, 'UTF8'), '') AS key, message_id, body
FROM deferred WHERE scheme = %(scheme)s AND case_id = %(case_id)s AND taken_at IS NULL ORDER BY deferred_no;

-- name: orders
-- The orders of a case by number.
SELECT order_id::text, number, area, message_no, state, is_first_order, held_for::text, made_at, sending_at, sent_at, settled_at, receipt_no, message
FROM orders WHERE case_no = %(case_no)s ORDER BY number;

-- name: lines
-- The lines of the orders of a case, or of one of them.
SELECT l.order_id::text, l.position, l.line_id, l.refers_to, l.payment_id::text, l.class_code, l.start_on, l.end_on, l.amount,
       l.decided_rate, l.ceased_from, l.decision_id, l.forwarded, l.rate_type, l.decided_on, l.caseworker, l.approver, l.recipient,
       l.office, l.grade
FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
WHERE o.case_no = %(case_no)s AND (%(order_id)s::uuid IS NULL OR o.order_id = %(order_id)s::uuid)
ORDER BY o.number, l.position;

-- name: receipts
-- The receipts that answer orders of a case, or one of them, as they came in.
SELECT r.receipt_no, r.order_id::text, r.received_at, r.severity, r.code, r.outcome, r.note, a.body
FROM orders AS o JOIN receipts AS r ON r.order_id = o.order_id JOIN receipt_answers AS a ON a.receipt_no = r.receipt_no
WHERE o.case_no = %(case_no)s AND (%(order_id)s::uuid IS NULL OR o.order_id = %(order_id)s::uuid)
ORDER BY r.receipt_no;

-- name: contradictions
-- What the rail said against what stood of orders of a case, or of one of them, and what was made of it.
SELECT k.contradiction_no, k.order_id::text, k.receipt_no, k.ours, k.rails, k.found_at, k.resolved_at, k.resolution, k.resolved_by, k.approved_by, k.reason
FROM contradictions AS k
WHERE k.case_no = %(case_no)s AND (%(order_id)s::uuid IS NULL OR k.order_id = %(order_id)s::uuid)
ORDER BY k.contradiction_no;

-- name: published
-- What was published of the messages of a case on the topics of answers, in order.
SELECT o.outbox_no, o.message_no, o.made_at, p.relayed_at, o.value, o.topic
FROM messages AS m JOIN outbox AS o ON o.message_no = m.message_no JOIN outbox_places AS p ON p.outbox_no = o.outbox_no
WHERE m.case_no = %(case_no)s AND o.topic = ANY (%(topics)s::text[]) ORDER BY o.outbox_no;

-- name: audit
-- The audit chain of a case, or what it has of one order.
SELECT seq, at, what, message_no, order_id::text, receipt_no FROM audit
WHERE chain = %(case_no)s AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s::uuid)
ORDER BY seq;

-- name: acts
-- What operators did to the orders of a case, or to one of them; walks their chain, which has an entry for each act of a person.
SELECT a.at, a.what, o.order_id::text, a.note::jsonb ->> 'by' AS by, a.note::jsonb ->> 'approved_by' AS approved_by,
       a.note::jsonb ->> 'reason' AS reason
FROM orders AS o JOIN audit AS a ON a.chain = 0 AND a.note::jsonb ->> 'subject' = o.order_id::text
WHERE o.case_no = %(case_no)s AND (%(order_id)s::uuid IS NULL OR o.order_id = %(order_id)s::uuid)
ORDER BY a.seq;

-- name: payments
-- The accepted payments of a case in case-list order, then the pending ones; ceased ones too.
SELECT payment_id::text, version, state, order_id::text, document
FROM payments
WHERE case_no = %(case_no)s AND (state = 'pending' OR (state = 'accepted' AND NOT superseded))
ORDER BY state, position_in_case, version;
