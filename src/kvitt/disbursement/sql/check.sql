-- The reads of `kvitt check`. All run in one read-only snapshot; those by case take a span of case numbers, so that memory stays
-- flat, and each of them is one walk along an index.

-- name: count_cases
-- How many cases there are, for whoever watches the progress.
SELECT count(*) FROM cases;

-- name: cases_after
-- The next cases by number.
SELECT case_no, scheme, case_id, person, areas, orders_made, open_orders, queued, audit_seq, last_event_hash, contradictions, unknown, contract,
       frame_start, cap_kroner, numbered, ordered_for, opened_for
FROM cases WHERE case_no > %(after)s ORDER BY case_no LIMIT %(limit)s;

-- name: decisions
-- What came in by calls, of a span of cases.
SELECT message_no, case_no, contract, operation, application, person, by_approver, outcome, refused_status, refused_text, refused_doc,
       refused_system
FROM decisions WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, message_no;

-- name: messages
-- The messages of a span of cases.
SELECT message_no, source, partition, position, key, digest, body, headers, scheme, case_no, dry_run, state, received_at, derived_at,
       answered_at, answer, edition
FROM messages WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, message_no;

-- name: messages_without_case
-- The next messages that belong to no case, because they were refused before their case mattered.
SELECT message_no, source, partition, position, key, digest, body, headers, scheme, case_no, dry_run, state, received_at, derived_at,
       answered_at, answer, edition
FROM messages WHERE case_no IS NULL AND message_no > %(after)s ORDER BY message_no LIMIT %(limit)s;

-- name: orders
-- The orders of a span of cases: what was stored when they were made, then how far they have come.
SELECT order_id::text, case_no, number, area, person, message_no, rail, message, correlation_time, correlation_key,
       rail_document::text, is_first_order, made_at,
       held_for::text, day, sum_kroner, priority, reconciliation_key, published_under, state, sent_at, settled_at, receipt_no, decided_by_hand,
       resends, taken_back, guard
FROM orders WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, number;

-- name: lines
-- The lines of the orders of a span of cases.
SELECT o.case_no AS of, l.*
FROM orders AS o
CROSS JOIN LATERAL (
    SELECT q.order_id::text, q.position, q.line_id, q.refers_to, q.payment_id::text, q.class_code, q.start_on, q.end_on, q.amount,
           q.decided_rate, q.ceased_from, q.decision_id, q.forwarded, q.rate_type, q.decided_on, q.caseworker, q.approver, q.recipient,
           q.office, q.grade
    FROM order_lines AS q WHERE q.order_id = o.order_id
    ORDER BY q.position
) AS l
WHERE o.case_no BETWEEN %(first)s AND %(last)s
ORDER BY o.case_no, o.number, l.position;

-- name: idempotency_records
-- The identities of the messages of a span of cases.
SELECT message_no, case_no, subject, name, digest
FROM idempotency_records WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, message_no;

-- name: imported_decisions
-- Decisions that were taken over with these cases, oldest first.
SELECT case_no AS "of", message_no, ARRAY[subject, name] AS key, state, digest, answer
FROM imported_decisions WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, message_no;

-- name: imported_decisions_astray
-- Decisions that are said to have been taken over, where their case's history does not say so.
SELECT d.case_no, d.message_no::text, 'was taken over with a case whose history has it otherwise'
FROM imported_decisions AS d
WHERE NOT EXISTS (SELECT FROM audit AS a WHERE a.chain = d.case_no AND a.what = 'imported');

-- name: payments
-- The payment versions of a span of cases: what was stored when they were made, then what became of them.
SELECT case_no, payment_id::text, version, order_id::text, area, action, client_chose, position_in_case, last_line, document, position, currency,
       state, superseded
FROM payments WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, version, position_in_case;

-- name: receipts
-- The receipts that answer orders of a span of cases.
SELECT o.case_no AS of, r.receipt_no, r.rail, r.digest, r.place, a.body, r.order_id::text, r.severity, r.code, r.outcome, r.note,
       r.message_id LIKE 'operator-%%' AS by_hand
FROM orders AS o
CROSS JOIN LATERAL (SELECT * FROM receipts AS q WHERE q.order_id = o.order_id) AS r
JOIN receipt_answers AS a ON a.receipt_no = r.receipt_no
WHERE o.case_no BETWEEN %(first)s AND %(last)s
ORDER BY o.case_no, r.receipt_no;

-- name: contradictions
-- The contradictions of a span of cases.
SELECT case_no AS of, order_id::text, receipt_no, ours, rails, found_at, resolution, resolved_at
FROM contradictions WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY case_no, contradiction_no;

-- name: order_checks
-- The checks before sending of a span of cases, with what the rail said of each order, each time that it was asked.
WITH rounds AS (
    SELECT k.order_id, k.times_asked, k.finding, k.request_no, k.checked_on, k.posted, k.compared_by, k.recovered, k.differences, k.picture, k.note
    FROM order_checks AS k WHERE k.case_no BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT e.order_id, e.times_asked, e.finding, e.request_no, e.checked_on, e.posted, e.compared_by, e.recovered, e.differences, e.picture, e.note
    FROM order_checks AS k JOIN earlier_order_checks AS e ON e.order_id = k.order_id WHERE k.case_no BETWEEN %(first)s AND %(last)s
)
SELECT c.case_no AS of, c.order_id::text, c.message_no, c.made_at, c.mode, c.most_recovered, c.waits, c.question, k.finding, k.checked_on,
       k.posted, k.compared_by, k.recovered, coalesce(k.differences, '[]')::text AS differences, coalesce(k.picture, '[]')::text AS picture, k.note, c.refusal,
       q.status, q.answer, coalesce(q.reason, r.reason) AS reason, coalesce(q.note, r.note) AS said, coalesce(q.by_rule, false) AS by_rule
FROM rounds AS k
JOIN order_checks AS c ON c.order_id = k.order_id
LEFT JOIN simulation_requests AS r ON r.request_no = k.request_no
LEFT JOIN simulation_questions AS q ON q.request_no = k.request_no AND q.order_id = k.order_id
ORDER BY c.case_no, c.message_no, k.times_asked;

-- name: outside_findings
-- The reasons that held orders of a span of cases, and that were found outside these.
SELECT order_id::text, place, case_no, other_case_no, class_code, reason::text
FROM outside_findings WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY order_id, place;

-- name: limited_orders
-- What orders of a span of cases count on the limits of their sources.
SELECT order_id::text, case_no, source, hour, kroner
FROM limited_orders WHERE case_no BETWEEN %(first)s AND %(last)s ORDER BY order_id;

-- name: simulations
-- The simulations that dry runs of a span of cases asked for.
SELECT request_no FROM simulation_requests WHERE asker = 'message' AND case_no BETWEEN %(first)s AND %(last)s ORDER BY request_no;

-- name: simulations_astray
-- Simulations of messages that their case does not have, and of cases that are not there.
SELECT r.case_no, r.request_no::text, CASE WHEN c.case_no IS NULL THEN 'is about a case that is not there' ELSE 'is of a message that its case does not have' END
FROM simulation_requests AS r
LEFT JOIN cases AS c ON c.case_no = r.case_no
LEFT JOIN messages AS m ON m.message_no = r.message_no
WHERE c.case_no IS NULL OR (r.message_no IS NOT NULL AND m.case_no IS DISTINCT FROM r.case_no);

-- name: outside_findings_astray
-- What was found outside a case, and is about no order of it, or in a case that is not there or was never ordered for the same person.
SELECT f.case_no, f.order_id::text,
       CASE WHEN o.order_id IS NULL THEN 'was held for what was found outside its case, and is not there'
            ELSE 'was held for what another case pays, which is not there or is another person''s' END
FROM outside_findings AS f
LEFT JOIN orders AS o ON o.order_id = f.order_id AND o.case_no = f.case_no
WHERE o.order_id IS NULL
   OR (f.other_case_no IS NOT NULL
       AND NOT EXISTS (SELECT FROM cases AS c WHERE c.case_no = f.other_case_no AND (c.person = o.person OR c.ordered_for = o.person))
       AND NOT EXISTS (SELECT FROM orders AS q WHERE q.case_no = f.other_case_no AND q.person = o.person));

-- name: exempt_pairs_not_as_noted
-- Pairs of cases that hold no orders of each other, and that nobody is noted to have released.
SELECT x.case_no, x.other_case_no::text, 'is exempt with it, and no order was released that says so'
FROM exempt_pairs AS x
WHERE NOT EXISTS (
    SELECT FROM outside_findings AS f
    WHERE f.order_id = x.order_id AND f.class_code = x.class_code
      AND least(f.case_no, f.other_case_no) = x.case_no AND greatest(f.case_no, f.other_case_no) = x.other_case_no
) OR NOT EXISTS (
    SELECT FROM audit AS a WHERE a.chain = 0 AND a.what = 'release' AND a.note::jsonb ->> 'subject' = x.order_id::text
);

-- name: contradictions_not_as_noted
-- Contradictions whose resolution is not what the operators' chain says, and those that are about no order of their case.
SELECT k.case_no, k.order_id::text,
       CASE WHEN o.order_id IS NULL THEN 'is about an order that its case does not have'
            ELSE 'was resolved otherwise than the operators have noted' END
FROM contradictions AS k
LEFT JOIN orders AS o ON o.order_id = k.order_id AND o.case_no = k.case_no
WHERE o.order_id IS NULL
   OR (k.resolved_at IS NOT NULL AND NOT EXISTS (
          SELECT FROM audit AS a
          WHERE a.chain = 0 AND a.at >= k.resolved_at AND a.what = CASE k.resolution WHEN 'adopted' THEN 'adopt' ELSE 'keep' END
            AND (a.note::jsonb ->> 'subject', a.note::jsonb ->> 'by', a.note::jsonb ->> 'reason') = (k.order_id::text, k.resolved_by, k.reason)
            AND a.note::jsonb ->> 'approved_by' IS NOT DISTINCT FROM k.approved_by
      ));

-- name: receipts_without_order
-- The next receipts that answer no order.
SELECT NULL::bigint AS of, r.receipt_no, r.rail, r.digest, r.place, a.body, r.order_id::text, r.severity, r.code, r.outcome, r.note,
       r.message_id LIKE 'operator-%%' AS by_hand
FROM receipts AS r JOIN receipt_answers AS a ON a.receipt_no = r.receipt_no
WHERE r.order_id IS NULL AND r.receipt_no > %(after)s ORDER BY r.receipt_no LIMIT %(limit)s;

-- name: published
-- What is published about the messages of a span of cases, and whether it was in an earlier form; and about moves of the cases themselves.
SELECT m.case_no AS of, o.*
FROM messages AS m
CROSS JOIN LATERAL (
    SELECT q.outbox_no, q.topic, q.key, q.value, q.headers, q.event_id::text, q.message_no, q.order_id::text, q.made_at, q.case_no,
           q.payment_id::text, q.version, q.outbox_no < (SELECT t.since FROM publishing AS t) AS early
    FROM outbox AS q WHERE q.message_no = m.message_no
    OFFSET 0
) AS o
WHERE m.case_no BETWEEN %(first)s AND %(last)s
UNION ALL
SELECT q.case_no AS of, q.outbox_no, q.topic, q.key, q.value, q.headers, q.event_id::text, q.message_no, q.order_id::text, q.made_at,
       q.case_no, q.payment_id::text, q.version, false AS early
FROM outbox AS q WHERE q.message_no IS NULL AND q.case_no BETWEEN %(first)s AND %(last)s
ORDER BY of, outbox_no;

-- name: published_without_case
-- What is published about messages that belong to no case.
SELECT m.message_no AS of, o.*
FROM messages AS m
CROSS JOIN LATERAL (
    SELECT q.outbox_no, q.topic, q.key, q.value, q.headers, q.event_id::text, q.message_no, q.order_id::text, q.made_at, q.case_no,
           q.payment_id::text, q.version, q.outbox_no < (SELECT t.since FROM publishing AS t) AS early
    FROM outbox AS q WHERE q.message_no = m.message_no
    OFFSET 0
) AS o
WHERE m.case_no IS NULL AND m.message_no BETWEEN %(first)s AND %(last)s
ORDER BY m.message_no, o.outbox_no;

-- name: audit
-- The audit chains of a span of cases.
SELECT chain, seq, at, what, message_no, order_id::text, receipt_no, digest, note, hash
FROM audit WHERE chain BETWEEN %(first)s AND %(last)s ORDER BY chain, seq;

-- name: audit_of_operators
-- The next entries of the operators' chain.
SELECT chain, seq, at, what, message_no, order_id::text, receipt_no, digest, note, hash
FROM audit WHERE chain = 0 AND seq > %(after)s ORDER BY seq LIMIT %(limit)s;

-- name: releases
-- What operators noted when they let orders go that were held.
SELECT note FROM audit WHERE chain = 0 AND what = 'release' AND note IS NOT NULL;

-- name: resends
-- What operators noted when they had orders sent once more.
SELECT note FROM audit WHERE chain = 0 AND what = 'resend' AND note IS NOT NULL;

-- name: end_of_operators
-- Where the operators' chain says that it ends.
SELECT audit_seq, last_event_hash FROM operators WHERE chain = 0;

-- name: named_by_other_cases
-- Which of these payment ids, chosen by a sender, another case has accepted or pending.
SELECT w.payment_id::text
FROM unnest(%(payment_ids)s::uuid[]) AS w (payment_id)
WHERE EXISTS (
    SELECT FROM payments AS p
    WHERE p.payment_id = w.payment_id AND p.client_chose AND p.case_no <> %(case_no)s
      AND (p.state = 'pending' OR (p.state = 'accepted' AND NOT p.superseded))
);

-- name: dropped_by_other_cases
-- Which of these payment ids another case had pending until the rail rejected it; walks the whole table, and is asked rarely.
SELECT DISTINCT payment_id::text FROM payments
WHERE payment_id = ANY (%(payment_ids)s::uuid[]) AND client_chose AND case_no <> %(case_no)s AND state = 'dropped';

-- name: decisions_without_case
-- What came in by calls and belongs to no case, of a span of messages.
SELECT message_no, case_no, contract, operation, application, person, by_approver, outcome, refused_status, refused_text, refused_doc,
       refused_system
FROM decisions WHERE case_no IS NULL AND message_no BETWEEN %(first)s AND %(last)s ORDER BY message_no;

-- name: copies_of_receipts
-- The copies of receipts that contracts published, with the receipts.
SELECT o.topic, o.outbox_no, o.event_id::text, o.made_at, o.key, o.value, r.body
FROM outbox AS o
JOIN receipts AS r ON md5(r.message_id || ' ' || encode(r.digest, 'hex'))::uuid = o.event_id AND r.place = 0
WHERE o.message_no IS NULL AND o.topic = ANY (%(topics)s::text[]);

-- name: sort_in_memory
-- Gives each sort and each join of this transaction more room than the server's usual 4 MB, before it goes to disk. Processes that work on
-- one join have a table each: a shared one lies in the system's shared memory, of which containers have 64 MB unless set otherwise.
SELECT set_config('work_mem', '32MB', true), set_config('enable_parallel_hash', 'off', true);
