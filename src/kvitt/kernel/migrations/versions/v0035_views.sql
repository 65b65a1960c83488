-- The public face of the store: what may be read, by names that stay. Tables may change with every version, views only with notice
-- (docs/views.md). Two of them hold personal data, and are for those alone who are granted them: persons, and published_keys.

CREATE SCHEMA kvitt_views;
COMMENT ON SCHEMA kvitt_views IS 'What may be read of the store, by names that stay; docs/views.md tells how.';

CREATE VIEW kvitt_views.cases AS
SELECT c.case_no, c.scheme, c.case_id, c.areas, c.orders_made, c.open_orders, c.waiting AS waiting_messages, c.contradictions,
       c.last_at, cardinality(c.unknown) > 0 AS has_unknown_payments
FROM public.cases AS c;

CREATE VIEW kvitt_views.persons AS
SELECT c.case_no, c.scheme, c.case_id, c.person FROM public.cases AS c;

CREATE VIEW kvitt_views.messages AS
SELECT m.message_no, m.case_no, m.scheme, c.case_id, m.source, m.partition, m.position, m.dry_run, m.state, m.received_at, m.derived_at,
       m.answered_at
FROM public.messages AS m LEFT JOIN public.cases AS c ON c.case_no = m.case_no;

CREATE VIEW kvitt_views.orders AS
SELECT o.order_id, o.case_no, c.scheme, c.case_id, o.number, o.rail, o.area, o.state, o.message_no, o.is_first_order, o.day, o.sum_kroner,
       (SELECT count(*) FROM public.order_lines AS l WHERE l.order_id = o.order_id) AS lines,
       o.held_for <> '[]' AS is_held, o.held_for, o.made_at, o.sending_at, o.sent_at, o.settled_at, o.resends, o.was_unknown,
       o.decided_by_hand, o.taken_back, o.receipt_no,
       (SELECT k.rails FROM public.contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL) AS rail_says
FROM public.orders AS o JOIN public.cases AS c ON c.case_no = o.case_no;

CREATE VIEW kvitt_views.open_orders AS
SELECT o.order_id, o.case_no, o.scheme, o.case_id, o.rail, o.area, o.state, o.is_held, o.day, o.sum_kroner, o.lines, o.made_at, o.sent_at,
       now() - coalesce(o.sent_at, o.made_at) AS age, o.resends, o.message_no
FROM kvitt_views.orders AS o WHERE o.state IN ('ready', 'sending', 'sent', 'unknown');

CREATE VIEW kvitt_views.order_lines AS
SELECT l.order_id, l.position, l.line_id, l.refers_to, l.payment_id, l.class_code, l.start_on, l.end_on, l.amount AS amount_kroner,
       l.decided_rate AS decided_rate_kroner, l.rate_type, l.ceased_from, l.decision_id, l.decided_on, l.caseworker, l.approver, l.office,
       l.grade
FROM public.order_lines AS l;

CREATE VIEW kvitt_views.held_orders AS
SELECT o.order_id, o.case_no, o.scheme, o.case_id, o.area, o.state, o.made_at, o.sum_kroner, r.reason ->> 'kind' AS kind,
       r.reason ->> 'text' AS text, r.reason ->> 'class_code' AS class_code, (r.reason ->> 'first_day')::date AS first_day,
       (r.reason ->> 'last_day')::date AS last_day, (r.reason ->> 'payment_id')::uuid AS payment_id
FROM kvitt_views.orders AS o CROSS JOIN LATERAL jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)
WHERE o.state IN ('ready', 'sending', 'sent', 'unknown');

CREATE VIEW kvitt_views.receipts AS
SELECT r.receipt_no, r.rail, r.order_id, r.received_at, r.severity, r.code, r.note, r.outcome, r.message_id LIKE 'operator-%' AS by_hand,
       octet_length(r.body) AS size, w.receipt_no IS NOT NULL AS is_open, r.closed_at, r.closed_by, r.closed_because
FROM public.receipts AS r LEFT JOIN public.receipts_that_wait AS w ON w.receipt_no = r.receipt_no;

CREATE VIEW kvitt_views.open_receipts AS
SELECT r.receipt_no, r.rail, r.order_id, r.received_at, r.severity, r.code, r.note, r.outcome, octet_length(r.body) AS size
FROM public.receipts_that_wait AS w JOIN public.receipts AS r ON r.receipt_no = w.receipt_no;

CREATE VIEW kvitt_views.contradictions AS
SELECT k.contradiction_no, k.order_id, k.case_no, c.scheme, c.case_id, k.receipt_no, k.ours, k.rails, r.severity, r.code, r.note, k.found_at,
       k.resolved_at, k.resolution, k.resolved_by, k.approved_by, k.reason
FROM public.contradictions AS k
JOIN public.cases AS c ON c.case_no = k.case_no
LEFT JOIN public.receipts AS r ON r.receipt_no = k.receipt_no;

CREATE VIEW kvitt_views.dead_letters AS
SELECT d.dead_no, d.source, d.partition, d.position, d.at, d.reason, octet_length(d.body) AS size, d.message_no, d.state, d.closed_at,
       d.closed_by, d.note
FROM public.dead_letters AS d;

CREATE VIEW kvitt_views.deferred AS
SELECT d.deferred_no, d.scheme, d.case_id, CASE WHEN d.source IS NULL THEN 'receipt' ELSE 'message' END AS what, d.source, d.partition,
       d.position, d.rail, d.came_at
FROM public.deferred AS d WHERE d.taken_at IS NULL;

CREATE VIEW kvitt_views.stops AS
SELECT s.rail, s.area, s.reason, s.stopped_by, s.stopped_at FROM public.stops AS s;

CREATE VIEW kvitt_views.alarms AS
SELECT a.alarm_no, a.order_id, o.scheme, o.case_id, a.area, a.sent_at, a.raised_at, a.cleared_at
FROM public.alarms AS a JOIN kvitt_views.orders AS o ON o.order_id = a.order_id;

CREATE VIEW kvitt_views.published AS
SELECT x.outbox_no, x.topic, c.scheme, c.case_id, x.message_no, x.order_id, x.payment_id, x.version, x.made_at, x.relayed_at, x.partition,
       x.position, x.event_id, octet_length(coalesce(x.value, o.message)) AS size
FROM public.outbox AS x
LEFT JOIN public.messages AS m ON m.message_no = x.message_no
LEFT JOIN public.cases AS c ON c.case_no = coalesce(x.case_no, m.case_no)
LEFT JOIN public.orders AS o ON o.order_id = x.order_id;

CREATE VIEW kvitt_views.published_keys AS
SELECT x.outbox_no, x.topic, encode(x.key, 'escape') AS key FROM public.outbox AS x;

CREATE VIEW kvitt_views.payments AS
SELECT p.case_no, c.scheme, c.case_id, p.payment_id, p.version, p.order_id, p.area, p.action, p.state, p.superseded,
       p.state = 'accepted' AND NOT p.superseded AND p.action <> 'DELETE' AS is_in_force, p.currency, d.doc ->> 'benefit' AS benefit,
       d.doc ->> 'decision_id' AS decision_id, d.doc ->> 'decided_at' AS decided_at, d.doc ->> 'caseworker' AS caseworker,
       d.doc ->> 'approver' AS approver, d.doc ->> 'rate_type' AS rate_type, p.last_line
FROM public.payments AS p
JOIN public.cases AS c ON c.case_no = p.case_no
CROSS JOIN LATERAL (SELECT convert_from(p.document, 'UTF8')::jsonb AS doc OFFSET 0) AS d;

CREATE VIEW kvitt_views.payment_periods AS
SELECT p.case_no, c.scheme, c.case_id, p.payment_id, p.version, p.area, d.doc ->> 'benefit' AS benefit, d.doc ->> 'rate_type' AS rate_type,
       (e.period ->> 'start')::date AS start_on, (e.period ->> 'end')::date AS end_on, (e.period ->> 'amount_kroner')::bigint AS amount_kroner,
       (e.period ->> 'decided_rate_kroner')::bigint AS decided_rate_kroner, e.period ->> 'office' AS office
FROM public.payments AS p
JOIN public.cases AS c ON c.case_no = p.case_no
CROSS JOIN LATERAL (SELECT convert_from(p.document, 'UTF8')::jsonb AS doc OFFSET 0) AS d
CROSS JOIN LATERAL jsonb_array_elements(d.doc -> 'periods') AS e (period)
WHERE p.state = 'accepted' AND NOT p.superseded AND p.action <> 'DELETE';

CREATE VIEW kvitt_views.operator_acts AS
SELECT a.seq, a.at, a.what, a.note::jsonb ->> 'subject' AS subject, a.note::jsonb ->> 'by' AS done_by,
       a.note::jsonb ->> 'approved_by' AS approved_by, a.note::jsonb ->> 'reason' AS reason
FROM public.audit AS a WHERE a.chain = 0;

CREATE VIEW kvitt_views.case_timeline AS
SELECT c.case_no, c.scheme, c.case_id, t.at, t.what, t.text, t.message_no, t.order_id, t.receipt_no, t.place
FROM public.cases AS c
CROSS JOIN LATERAL (
    SELECT m.received_at AS at, 'received' AS what, 'message ' || m.message_no || ' from ' || m.source || '/' || m.partition || '/' || m.position
               || CASE WHEN m.dry_run THEN ', dry run' ELSE '' END AS text,
           m.message_no, NULL::uuid AS order_id, NULL::bigint AS receipt_no, 1 AS place
    FROM public.messages AS m WHERE m.case_no = c.case_no
    UNION ALL
    SELECT e.at, e.what, 'order ' || o.number || ' to ' || o.area || e.text, o.message_no, o.order_id, NULL, e.place
    FROM public.orders AS o
    CROSS JOIN LATERAL (
        VALUES (o.made_at, 'ordered', CASE WHEN o.held_for <> '[]' THEN ', held' ELSE '' END, 7), (o.sending_at, 'sending', '', 8),
               (o.sent_at, 'sent', '', 9), (o.settled_at, 'settled', ': ' || o.state, 4)
    ) AS e (at, what, text, place)
    WHERE o.case_no = c.case_no AND e.at IS NOT NULL
    UNION ALL
    SELECT r.received_at, 'receipted', 'receipt ' || r.receipt_no || ' with severity ' || coalesce(nullif(r.severity, ''), 'none') || ': ' || r.outcome,
           NULL, r.order_id, r.receipt_no, 3
    FROM public.orders AS o JOIN public.receipts AS r ON r.order_id = o.order_id WHERE o.case_no = c.case_no
    UNION ALL
    SELECT e.at, e.what, e.text, NULL, k.order_id, k.receipt_no, e.place
    FROM public.contradictions AS k
    CROSS JOIN LATERAL (
        VALUES (k.found_at, 'contradicted', 'stands as ' || k.ours || ', and the rail says ' || k.rails, 5),
               (k.resolved_at, 'resolved', k.resolution || ' by ' || k.resolved_by || ' and ' || k.approved_by || ': ' || k.reason, 6)
    ) AS e (at, what, text, place)
    WHERE k.case_no = c.case_no AND e.at IS NOT NULL
    UNION ALL
    SELECT x.made_at, 'published', 'on ' || x.topic, x.message_no, x.order_id, NULL, 10
    FROM public.messages AS m JOIN public.outbox AS x ON x.message_no = m.message_no WHERE m.case_no = c.case_no
    UNION ALL
    SELECT a.at, 'acted', a.what || ' by ' || (a.note::jsonb ->> 'by') || ': ' || (a.note::jsonb ->> 'reason'), NULL, o.order_id, NULL, 2
    FROM public.orders AS o JOIN public.audit AS a ON a.chain = 0 AND a.note::jsonb ->> 'subject' = o.order_id::text
    WHERE o.case_no = c.case_no
) AS t;

CREATE VIEW kvitt_views.stuck AS
SELECT 'order held' AS what, o.scheme, o.case_id, o.area, o.order_id, o.message_no, o.made_at AS since, o.sum_kroner,
       (SELECT string_agg(r.reason ->> 'text', '; ' ORDER BY r.place) FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)) AS why,
       'kvitt order release or withdraw' AS ends_by
FROM kvitt_views.orders AS o WHERE o.state = 'ready' AND o.is_held
UNION ALL
SELECT 'sending stopped', o.scheme, o.case_id, o.area, o.order_id, o.message_no, greatest(o.made_at, s.stopped_at), o.sum_kroner, s.reason,
       'kvitt sending resume'
FROM kvitt_views.orders AS o
JOIN public.stops AS s ON s.rail IN (o.rail, '*') AND s.area IN (o.area, '*')
WHERE o.state = 'ready' AND NOT o.is_held
UNION ALL
SELECT 'order unknown', o.scheme, o.case_id, o.area, o.order_id, o.message_no, coalesce(o.sent_at, o.sending_at, o.made_at), o.sum_kroner,
       coalesce('receipt ' || r.receipt_no || ' says nothing certain: ' || r.note, 'nobody knows whether it reached the rail'),
       'kvitt order decide or resend'
FROM kvitt_views.orders AS o LEFT JOIN public.receipts AS r ON r.receipt_no = o.receipt_no WHERE o.state = 'unknown'
UNION ALL
SELECT 'receipt late', a.scheme, a.case_id, a.area, a.order_id, o.message_no, a.sent_at, o.sum_kroner, 'the rail has not answered since',
       'the rail''s receipt, or kvitt order decide'
FROM kvitt_views.alarms AS a JOIN kvitt_views.orders AS o ON o.order_id = a.order_id WHERE a.cleared_at IS NULL AND o.state = 'sent'
UNION ALL
SELECT 'contradiction', k.scheme, k.case_id, o.area, k.order_id, o.message_no, k.found_at, o.sum_kroner,
       'stands as ' || k.ours || ', and the rail says ' || k.rails || coalesce(': ' || nullif(k.note, ''), ''), 'kvitt order adopt or keep'
FROM kvitt_views.contradictions AS k JOIN kvitt_views.orders AS o ON o.order_id = k.order_id WHERE k.resolved_at IS NULL
UNION ALL
SELECT 'message waiting', m.scheme, m.case_id, NULL, NULL, m.message_no, m.received_at, NULL,
       'an order of the case is open, or what stands is contradicted', 'the case being free'
FROM kvitt_views.messages AS m WHERE m.state = 'waiting'
UNION ALL
SELECT 'case locked', d.scheme, d.case_id, NULL, NULL, NULL, d.came_at, NULL, 'a ' || d.what || ' came while somebody else had locked the case',
       'the lock being given up'
FROM kvitt_views.deferred AS d
UNION ALL
SELECT 'dead letter', NULL, NULL, NULL, NULL, d.message_no, d.at, NULL, d.reason, 'kvitt dead replay or close'
FROM kvitt_views.dead_letters AS d WHERE d.state = 'open'
UNION ALL
SELECT 'receipt ' || r.outcome, o.scheme, o.case_id, o.area, r.order_id, o.message_no, r.received_at, o.sum_kroner, r.note, 'kvitt receipt close'
FROM kvitt_views.open_receipts AS r LEFT JOIN kvitt_views.orders AS o ON o.order_id = r.order_id WHERE r.outcome <> 'contradicts'
UNION ALL
SELECT 'payout at another ledger', NULL, NULL, NULL, NULL, NULL, s.made_at, NULL, 'payout ' || s.payout_id || ': ' || s.action || ' is ' || s.state,
       'the other ledger''s answer'
FROM payouts.saga_steps AS s WHERE s.closed_at IS NULL;

CREATE VIEW kvitt_views.order_sums AS
SELECT o.rail, o.area, o.day, o.state, count(*) AS orders, sum(o.sum_kroner)::bigint AS sum_kroner
FROM public.orders AS o GROUP BY o.rail, o.area, o.day, o.state;

CREATE VIEW kvitt_views.ledger_accounts AS
SELECT a.account_id, a.currency, a.description, a.posted AS posted_minor, a.available_min AS available_min_minor,
       a.available_max AS available_max_minor, a.entries, a.created_at, a.last_at
FROM ledger.accounts AS a;

CREATE VIEW kvitt_views.ledger_plans AS
SELECT p.plan_id, p.state, p.held_at, p.changed_at FROM ledger.plans AS p;

CREATE VIEW kvitt_views.payouts AS
SELECT p.payout_id, p.party_id, p.shop_id, p.status, p.amount AS amount_minor, p.fee AS fee_minor, p.currency, p.created_at, p.last_at,
       p.cancel_details, p.ledger, p.plan_id, p.reversal_plan_id
FROM payouts.payouts AS p;

CREATE VIEW kvitt_views.jobs AS
SELECT j.name, j.timetable, j.catch_up, j.next_due, j.next_try, j.last_due, j.last_run, j.state, j.tries, j.outcome FROM public.jobs AS j;

CREATE VIEW kvitt_views.approvals AS
SELECT a.approval_no, a.act, a.subject, a.asked_by, a.reason, a.effect, a.asked_at, a.lapses_at, a.state, a.decided_at, a.decided_by,
       a.decided_because, a.outcome
FROM public.approvals AS a;
