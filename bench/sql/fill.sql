-- Statements that fill a database with copies of what one real message has left behind, so that rows have real sizes.

-- name: copy_cases
-- As many cases as asked for, each like the template but under an id of its own.
INSERT INTO cases (scheme, case_id, person, areas, orders_made, audit_seq, last_event_hash)
SELECT c.scheme, 'filled-' || n, c.person, c.areas, c.orders_made, c.audit_seq, c.last_event_hash
FROM cases AS c CROSS JOIN generate_series(1, %(cases)s::integer) AS n
WHERE c.case_no = %(template)s;

-- name: copy_messages
-- The template's message for every other case.
INSERT INTO messages (message_no, source, partition, position, key, digest, body, headers, scheme, case_no, dry_run, state, received_at,
                      derived_at, answered_at, answer)
SELECT -c.case_no, m.source, -1, c.case_no, convert_to('key-' || c.case_no, 'UTF8'), m.digest, m.body, m.headers, m.scheme, c.case_no, m.dry_run,
       m.state, m.received_at, m.derived_at, m.answered_at, m.answer
FROM cases AS c CROSS JOIN messages AS m
WHERE m.case_no = %(template)s AND c.case_no <> %(template)s;

-- name: copy_orders
-- The template's order for every other case, under an id of its own.
INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                    rail_document, is_first_order, made_at, sent_at, settled_at, day, sum_kroner)
SELECT md5('order ' || c.case_no)::uuid, c.case_no, o.number, o.area, o.person, -c.case_no, o.state, o.message, o.correlation_time,
       sha256(convert_to('lines ' || c.case_no, 'UTF8')), o.rail_document, o.is_first_order, o.made_at, o.sent_at, o.settled_at,
       o.day, o.sum_kroner
FROM cases AS c CROSS JOIN orders AS o
WHERE o.case_no = %(template)s AND c.case_no <> %(template)s;

-- name: copy_lines
-- The lines of the template's order for every other order, under ids of their own.
INSERT INTO order_lines (order_id, position, line_id, refers_to, payment_id, class_code, start_on, end_on, amount, decided_rate, ceased_from,
                         decision_id, rate_type, decided_on, caseworker, approver, recipient, office, grade)
SELECT o.order_id, l.position, md5('line ' || o.case_no || ' ' || l.position)::uuid::text, l.refers_to,
       md5('payment ' || o.case_no || ' ' || l.position)::uuid, l.class_code, l.start_on, l.end_on, l.amount, l.decided_rate, l.ceased_from,
       l.decision_id, l.rate_type, l.decided_on, l.caseworker, l.approver, l.recipient, l.office, l.grade
FROM orders AS t JOIN order_lines AS l USING (order_id) CROSS JOIN orders AS o
WHERE t.case_no = %(template)s AND o.case_no <> %(template)s;

-- name: copy_payments
-- The template's payments for every other case, under ids of their own.
INSERT INTO payments (case_no, payment_id, version, order_id, area, action, state, superseded, client_chose, position_in_case, last_line, document, currency)
SELECT o.case_no, md5('payment ' || o.case_no || ' ' || p.position_in_case)::uuid, p.version, o.order_id, p.area, p.action, p.state, p.superseded,
       p.client_chose, p.position_in_case, p.last_line, p.document, p.currency
FROM payments AS p CROSS JOIN orders AS o
WHERE p.case_no = %(template)s AND o.case_no <> %(template)s;

-- name: copy_outbox
-- What was published about the template's message for every other case, as it was.
INSERT INTO outbox (topic, key, value, headers, event_id, message_no, order_id, made_at, relayed_at, partition, position)
SELECT b.topic, b.key, b.value, b.headers, md5(o.case_no || ' ' || b.outbox_no)::uuid, o.message_no, o.order_id, b.made_at, b.made_at, 0, 0
FROM outbox AS b CROSS JOIN orders AS o
WHERE b.message_no = (SELECT message_no FROM messages WHERE case_no = %(template)s) AND o.case_no <> %(template)s
  AND b.payment_id IS NULL;

-- name: copy_audit
-- The template's audit entries for every other case; their hashes prove nothing.
INSERT INTO audit (chain, seq, at, what, message_no, order_id, receipt_no, digest, note, hash)
SELECT c.case_no, a.seq, a.at, a.what, -c.case_no, NULL, NULL, a.digest, a.note, a.hash
FROM cases AS c CROSS JOIN audit AS a
WHERE a.chain = %(template)s AND c.case_no <> %(template)s;

-- name: open_orders
-- So many of the accepted orders are open again, each with a sum of its own.
UPDATE orders SET state = %(state)s, held_for = %(held_for)s, settled_at = NULL, sum_kroner = 1000 + abs(hashtext(order_id::text)) %% 90000
WHERE order_id IN (SELECT order_id FROM orders WHERE state = 'accepted' ORDER BY message_no LIMIT %(orders)s);
