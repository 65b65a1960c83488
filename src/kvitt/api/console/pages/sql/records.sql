-- name: message
-- One message with its bytes.
SELECT m.message_no, m.case_no, m.scheme, m.case_id, m.source, m.partition, m.position, m.dry_run, m.state, m.received_at, m.derived_at,
       m.answered_at, t.key, t.headers, t.body, t.answer
FROM kvitt_views.messages AS m JOIN kvitt_views.message_texts AS t ON t.message_no = m.message_no
WHERE m.message_no = %(message_no)s;

-- name: receipt
-- One receipt with its bytes.
SELECT r.receipt_no, r.rail, r.order_id, o.case_no, o.scheme, o.case_id, r.received_at, r.severity, r.code, r.note, r.outcome, r.by_hand,
       r.is_open, r.closed_at, r.closed_by, r.closed_because, t.body
FROM kvitt_views.receipts AS r
JOIN kvitt_views.receipt_texts AS t ON t.receipt_no = r.receipt_no
LEFT JOIN kvitt_views.orders AS o ON o.order_id = r.order_id
WHERE r.receipt_no = %(receipt_no)s;

-- name: message_version
-- Whether anything about a message has changed.
SELECT concat_ws('-', m.state, octet_length(t.answer))
FROM kvitt_views.messages AS m JOIN kvitt_views.message_texts AS t ON t.message_no = m.message_no
WHERE m.message_no = %(message_no)s;

-- name: published_for
-- What was published for a message, in order.
SELECT p.outbox_no, p.topic, p.order_id, p.made_at, p.relayed_at, p.partition, p.position, t.value
FROM kvitt_views.published AS p JOIN kvitt_views.published_texts AS t ON t.outbox_no = p.outbox_no
WHERE t.message_no = %(message_no)s AND p.message_no = %(message_no)s
ORDER BY p.outbox_no LIMIT %(limit)s;

-- name: call_of_message
-- Who called, where a message came in by a call.
SELECT application, caseworker, by_approver, contract, operation, outcome, refused_status, refused_text
FROM kvitt_views.decisions WHERE message_no = %(message_no)s;

-- name: is_refused_by_rail
-- Whether the rail has refused an order of a message.
SELECT EXISTS (SELECT FROM kvitt_views.orders WHERE message_no = %(message_no)s AND state = 'rejected');

-- name: receipt_version
-- Whether anything about a receipt has changed.
SELECT concat_ws('-', outcome, is_open, closed_at) FROM kvitt_views.receipts WHERE receipt_no = %(receipt_no)s;
