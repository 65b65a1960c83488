-- name: case_by_no
-- One case.
SELECT case_no, scheme, case_id, areas, orders_made, open_orders, queued_messages, contradictions, last_at, has_unknown_payments, contract
FROM kvitt_views.cases WHERE case_no = %(case_no)s;

-- name: attention_of_case
-- What of the case does not go on by itself.
SELECT what, case_no, %(scheme)s::text AS scheme, %(case_id)s::text AS case_id, area, order_id, message_no, NULL::bigint AS approval_no,
       NULL::bigint AS dead_no, since, sum_kroner, why, ends_by
FROM kvitt_views.case_attention WHERE case_no = %(case_no)s
ORDER BY since;

-- name: paid
-- What is in force.
SELECT payment_id, area, benefit, rate_type, start_on, end_on, amount_kroner
FROM kvitt_views.payment_periods WHERE case_no = %(case_no)s ORDER BY start_on, payment_id LIMIT %(events)s;

-- name: has_payments
-- Whether kvitt makes the lines of the case, of payments; a sender that makes its lines itself has none.
SELECT EXISTS (SELECT FROM kvitt_views.payments WHERE case_no = %(case_no)s);

-- name: orders_of_case
-- Its orders, newest first.
SELECT order_id, number, area, state, is_held, made_at, sent_at, settled_at, sum_kroner
FROM kvitt_views.orders WHERE case_no = %(case_no)s ORDER BY number DESC LIMIT %(limit)s;

-- name: lines_of_case
-- Their lines.
SELECT l.order_id, l.line_id, l.class_code, l.start_on, l.end_on, l.amount_kroner, l.rate_type, l.ceased_from
FROM (SELECT order_id, number FROM kvitt_views.orders WHERE case_no = %(case_no)s ORDER BY number DESC LIMIT %(limit)s) AS o
JOIN kvitt_views.order_lines AS l ON l.order_id = o.order_id
ORDER BY o.number DESC, l.position
LIMIT %(events)s;

-- name: receipts_of_case
-- What the rail said about each of them, so that no plan begins with all receipts.
SELECT r.receipt_no, r.order_id, r.received_at, r.severity, r.code, r.note, r.outcome
FROM (SELECT order_id FROM kvitt_views.orders WHERE case_no = %(case_no)s ORDER BY number DESC LIMIT %(limit)s) AS o
CROSS JOIN LATERAL (SELECT * FROM kvitt_views.receipts WHERE order_id = o.order_id OFFSET 0) AS r
ORDER BY r.receipt_no DESC
LIMIT %(events)s;

-- name: messages_of_case
-- What came in about it, newest first.
SELECT message_no, source, partition, position, dry_run, state, received_at
FROM kvitt_views.messages WHERE case_no = %(case_no)s ORDER BY message_no DESC LIMIT %(limit)s;

-- name: cases_of_person
-- The cases whose newest orders are for the same person as those of this one.
SELECT c.case_no, c.scheme, c.case_id, c.open_orders, c.queued_messages, c.last_at
FROM (SELECT ordered_for FROM kvitt_views.persons WHERE case_no = %(case_no)s) AS this
JOIN kvitt_views.persons AS p ON p.ordered_for = this.ordered_for
JOIN kvitt_views.cases AS c ON c.case_no = p.case_no
ORDER BY c.last_at DESC, c.case_no
LIMIT %(limit)s;

-- name: case_version
-- Whether anything about a case has changed.
SELECT concat_ws('-', (SELECT max(a.seq) FROM kvitt_views.audit_entries AS a WHERE a.chain = %(case_no)s),
                 (SELECT max(m.message_no) FROM kvitt_views.messages AS m WHERE m.case_no = %(case_no)s),
                 (SELECT max(n.note_no) FROM kvitt_views.note_texts AS n WHERE n.case_no = %(case_no)s),
                 (SELECT concat(count(*), max(s.stopped_at)) FROM kvitt_views.stops AS s),
                 string_agg(concat(o.state, o.is_held), '-'))
FROM (SELECT state, is_held FROM kvitt_views.orders WHERE case_no = %(case_no)s ORDER BY number DESC LIMIT 5) AS o;

-- name: person_version
-- Whether the cases of the person of a case have changed.
SELECT string_agg(concat_ws(' ', c.case_no, c.open_orders, c.queued_messages, c.last_at), '-' ORDER BY c.case_no)
FROM (SELECT ordered_for FROM kvitt_views.persons WHERE case_no = %(case_no)s) AS this
JOIN kvitt_views.persons AS p ON p.ordered_for = this.ordered_for
JOIN kvitt_views.cases AS c ON c.case_no = p.case_no;
