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
