-- name: add_messages
-- Stores records that came in; a second record under the same edge identity is refused by the unique constraint.
INSERT INTO messages (message_no, source, partition, position, key, digest, body, headers, scheme, case_no, dry_run, state,
                      received_at, derived_at, answered_at, answer, edition)
SELECT * FROM unnest(%b::bigint[], %b::text[], %b::integer[], %b::bigint[], %b::bytea[], %b::bytea[], %b::bytea[], %b::bytea[], %b::text[],
                     %b::bigint[], %b::boolean[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[], %b::bytea[],
                     %b::smallint[]);

-- name: add_deferred
-- Keeps what came in for cases that somebody else holds, in the order in which it came.
INSERT INTO deferred (scheme, case_id, source, partition, position, key, headers, message_id, body, came_at, rail)
SELECT scheme, case_id, source, partition, position, key, headers, message_id, body, came_at, rail
FROM unnest(%b::text[], %b::text[], %b::text[], %b::integer[], %b::bigint[], %b::bytea[], %b::bytea[], %b::text[], %b::bytea[], %b::timestamptz[],
            %b::text[])
     WITH ORDINALITY AS d (scheme, case_id, source, partition, position, key, headers, message_id, body, came_at, rail, place)
ORDER BY place;

-- name: step_messages
-- Moves stored messages on, along the legal arcs only: queued to derived or answered, derived to answered.
UPDATE messages AS m
SET state = s.state,
    derived_at = coalesce(s.derived_at, m.derived_at),
    answered_at = coalesce(s.answered_at, m.answered_at),
    answer = coalesce(s.answer, m.answer),
    published_at = coalesce(s.published_at, m.published_at)
FROM unnest(%b::bigint[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::bytea[], %b::timestamptz[])
     AS s (message_no, state, derived_at, answered_at, answer, published_at)
WHERE m.message_no = s.message_no
  AND ((m.state = 'queued' AND s.state IN ('derived', 'answered')) OR (m.state = 'derived' AND s.state IN ('derived', 'answered')));

-- name: add_idempotency_records
-- Stores under which identity messages came in.
INSERT INTO idempotency_records (message_no, case_no, subject, name, digest)
SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::bytea[]);

-- name: add_orders
-- Stores new orders in state ready.
INSERT INTO orders (order_id, case_no, number, area, person, message_no, rail, message, correlation_time, correlation_key, rail_document,
                    is_first_order, made_at, held_for, day, sum_kroner, priority, reconciliation_key, published_under, state)
SELECT o.order_id, o.case_no, o.number, o.area, o.person, o.message_no, o.rail, o.message, o.correlation_time, o.correlation_key,
       o.rail_document::json, o.is_first_order, o.made_at, o.held_for::jsonb, o.day, o.sum_kroner, o.priority, o.reconciliation_key,
       o.published_under, 'ready'
FROM unnest(%b::uuid[], %b::bigint[], %b::integer[], %b::text[], %b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::text[], %b::bytea[],
            %b::text[], %b::boolean[], %b::timestamptz[], %b::text[], %b::date[], %b::bigint[], %b::smallint[], %b::bigint[], %b::bytea[])
     AS o (order_id, case_no, number, area, person, message_no, rail, message, correlation_time, correlation_key, rail_document,
           is_first_order, made_at, held_for, day, sum_kroner, priority,
           reconciliation_key, published_under);

-- name: add_lines
-- Stores the lines of new orders; the unique index refuses a line id of ours that was ever made before.
INSERT INTO order_lines (order_id, position, line_id, refers_to, payment_id, class_code, start_on, end_on, amount, decided_rate,
                         ceased_from, decision_id, forwarded, rate_type, decided_on, caseworker, approver, recipient, office, grade)
SELECT * FROM unnest(%b::uuid[], %b::smallint[], %b::text[], %b::text[], %b::uuid[], %b::text[], %b::date[], %b::date[], %b::bigint[],
                     %b::bigint[], %b::date[], %b::text[], %b::boolean[], %b::text[], %b::date[], %b::text[], %b::text[], %b::text[],
                     %b::text[], %b::smallint[]);

-- name: add_payments
-- Stores new versions of payments in state pending.
INSERT INTO payments (case_no, payment_id, version, order_id, area, action, client_chose, position_in_case, last_line, document, position, currency, state)
SELECT p.*, 'pending'
FROM unnest(%b::bigint[], %b::uuid[], %b::integer[], %b::uuid[], %b::text[], %b::text[], %b::boolean[], %b::bigint[], %b::text[],
            %b::bytea[], %b::integer[], %b::text[]) AS p;

-- name: add_receipts
-- Stores what raw receipts say, under the numbers that were drawn for it, with what it turned out to be; what is stored already is refused by
-- the unique constraint. Bytes that are stored already stand once, but for the first thing that they say: `receipt_answers` looks for them.
INSERT INTO receipts (receipt_no, rail, message_id, digest, place, body, received_at, order_id, severity, code, outcome, note)
OVERRIDING SYSTEM VALUE
SELECT r.receipt_no, r.rail, r.message_id, r.digest, r.place,
       CASE WHEN r.place > 0 AND EXISTS (
           SELECT FROM receipts AS q WHERE q.message_id = r.message_id AND q.digest = r.digest AND octet_length(q.body) > 0
       ) THEN '' ELSE r.body END,
       r.received_at, r.order_id, r.severity, r.code, r.outcome, r.note
FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bytea[], %b::integer[], %b::bytea[], %b::timestamptz[], %b::uuid[], %b::text[],
            %b::text[], %b::text[], %b::text[])
     AS r (receipt_no, rail, message_id, digest, place, body, received_at, order_id, severity, code, outcome, note)
ORDER BY r.receipt_no;

-- name: step_cases
-- Writes back what a transaction changed of the cases that it has locked.
UPDATE cases AS c
SET person = s.person, areas = string_to_array(s.areas, ','), orders_made = s.orders_made, open_orders = s.open_orders,
    queued = s.queued, audit_seq = s.audit_seq, last_event_hash = s.last_event_hash, last_at = s.last_at,
    unknown = string_to_array(s.unknown, ','), contradictions = s.contradictions,
    contract = s.contract, frame_start = s.frame_start, cap_kroner = s.cap_kroner, numbered = s.numbered, ordered_for = s.ordered_for,
    opened_for = s.opened_for
FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::integer[], %b::integer[], %b::integer[], %b::integer[], %b::bytea[],
            %b::timestamptz[], %b::text[], %b::integer[], %b::text[], %b::date[], %b::bigint[], %b::integer[], %b::text[], %b::text[])
     AS s (case_no, person, areas, orders_made, open_orders, queued, audit_seq, last_event_hash, last_at, unknown, contradictions,
           contract, frame_start, cap_kroner, numbered, ordered_for, opened_for)
WHERE c.case_no = s.case_no;

-- name: add_dead_letters
-- Keeps records that could not be read, with the reason, numbered as they came.
INSERT INTO dead_letters (source, partition, position, key, body, headers, reason, message_no, at)
SELECT w.source, w.partition, w.position, w.key, w.body, w.headers, w.reason, w.message_no, w.at
FROM unnest(%b::text[], %b::integer[], %b::bigint[], %b::bytea[], %b::bytea[], %b::bytea[], %b::text[], %b::bigint[], %b::timestamptz[])
     WITH ORDINALITY AS w (source, partition, position, key, body, headers, reason, message_no, at, place)
ORDER BY w.place;

-- name: add_triggers
-- Stores records that ask for reconciliation, numbered as they came; one that came in before does nothing.
INSERT INTO reconciliation_triggers (source, partition, position, key, body, headers, edition, up_to, came_at, due_at)
SELECT w.source, w.partition, w.position, w.key, w.body, w.headers, w.edition, w.up_to, w.came_at, w.came_at
FROM unnest(%b::text[], %b::integer[], %b::bigint[], %b::bytea[], %b::bytea[], %b::bytea[], %b::smallint[], %b::date[], %b::timestamptz[])
     WITH ORDINALITY AS w (source, partition, position, key, body, headers, edition, up_to, came_at, place)
ORDER BY w.place
ON CONFLICT (source, partition, position) DO NOTHING;

-- name: add_simulations
-- Stores requests to simulate with their questions, one row for each question; the same name is refused by the unique constraint.
WITH q AS MATERIALIZED (
    SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::timestamptz[],
                         %b::timestamptz[], %b::integer[], %b::text[], %b::uuid[], %b::bytea[]) WITH ORDINALITY
         AS n (name, asker, contract, message_no, caller, case_no, person, rail, requested_at, deadline, place, area, order_id, question, number)
), made AS (
    INSERT INTO simulation_requests (name, asker, contract, message_no, caller, case_no, person, rail, requested_at, deadline)
    SELECT name, asker, contract, message_no, caller, case_no, person, rail, requested_at, deadline FROM q WHERE place = 0 ORDER BY number
    RETURNING request_no, name
)
INSERT INTO simulation_questions (request_no, place, area, order_id, question)
SELECT m.request_no, q.place, q.area, q.order_id, q.question FROM q JOIN made AS m ON m.name = q.name;

-- name: add_order_checks
-- Stores that orders are simulated before they leave.
INSERT INTO order_checks (order_id, case_no, message_no, made_at, mode, most_recovered, waits, question, times_asked, due_at, ended_at, finding, note,
                          seen)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::bigint[], %b::timestamptz[], %b::text[], %b::bigint[], %b::boolean[], %b::bytea[],
                     %b::integer[], %b::timestamptz[], %b::timestamptz[], %b::text[], %b::text[], %b::bytea[]);

-- name: add_decisions
-- Notes of messages that came in by a call who asked for what, and what was done at once.
INSERT INTO decisions (message_no, case_no, contract, operation, application, person, by_approver, outcome, refused_status, refused_text,
                       refused_doc, refused_system)
SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::boolean[], %b::text[], %b::smallint[],
                     %b::text[], %b::text[], %b::text[]);

-- name: add_outside_findings
-- Remembers what outside their cases held new orders.
INSERT INTO outside_findings (order_id, place, case_no, other_case_no, class_code, reason)
SELECT w.order_id, w.place, w.case_no, w.other_case_no, w.class_code, w.reason::jsonb
FROM unnest(%b::uuid[], %b::integer[], %b::bigint[], %b::bigint[], %b::text[], %b::text[])
     AS w (order_id, place, case_no, other_case_no, class_code, reason);

-- name: add_to_source_hours
-- Notes what orders pay, and adds it to what their sources had paid in an hour; those rows are there, and locked.
WITH n AS (
    SELECT u.order_id, u.case_no, u.source, u.hour, u.kroner
    FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::timestamptz[], %b::bigint[]) AS u (order_id, case_no, source, hour, kroner)
), noted AS (
    INSERT INTO limited_orders (order_id, case_no, source, hour, kroner) SELECT order_id, case_no, source, hour, kroner FROM n
)
UPDATE source_hours AS h
SET kroner = h.kroner + w.kroner
FROM (SELECT n.source, n.hour, sum(n.kroner) AS kroner FROM n GROUP BY 1, 2) AS w
WHERE h.source = w.source AND h.hour = w.hour;
