-- A message of a busy case is queued; tables and columns are named for what they hold, whatever contract fills them.

ALTER TABLE cases RENAME COLUMN waiting TO queued;
ALTER TABLE cases RENAME COLUMN audit_hash TO last_event_hash;
ALTER TABLE operators RENAME COLUMN audit_hash TO last_event_hash;
ALTER TABLE payments RENAME COLUMN listed TO position_in_case;
ALTER TABLE telling RENAME TO publishing;
ALTER TABLE payouts.payouts RENAME COLUMN head TO last_event_hash;
ALTER TABLE cases RENAME CONSTRAINT cases_waiting_check TO cases_queued_check;
ALTER INDEX rail.receipt_waiting RENAME TO receipt_due;
COMMENT ON COLUMN cases.queued IS 'How many messages of the case are queued.';
COMMENT ON TABLE payments IS
    'Versions of payments, never edited: pending until the receipt, then accepted or dropped. `position_in_case` orders the case list.';

COMMENT ON COLUMN cases.contradictions IS 'How many are open; as long as there are any, messages are queued and nothing is sent.';
COMMENT ON COLUMN cases.unknown IS
    'Payment ids of the case list when the case was taken over, of which nothing else was known; * = nothing of the case was.';
COMMENT ON COLUMN orders.correlation_time IS 'The time that the rail''s answer carries; it distinguishes orders with one correlation key.';
COMMENT ON COLUMN order_lines.decided_on IS 'The day of the decision; NULL where the sender does not name it.';
COMMENT ON COLUMN order_lines.grade IS 'A percentage; NULL where the sender names none.';
COMMENT ON TABLE outbox IS
    'What is to be published, per topic and key. `value` is null where the bytes already are a fact, as an order, and for a tombstone.';
COMMENT ON TABLE publishing IS
    'Records of the outbox below this number were published before orders had keys of their own: `kvitt check` allows them other forms.';
COMMENT ON TABLE payouts.events IS 'What was published about each payout, as the bytes of then, each hashed with the one before.';
COMMENT ON COLUMN payouts.payouts.republished IS 'how often an operator had its events published again';
COMMENT ON COLUMN payouts.saga_steps.state IS
    'forward: to be done; compensating: to be compensated, so that nothing stays held; done and compensated are final';
COMMENT ON COLUMN payouts.events.actor IS 'who asked for the change, as JSON: channel (`door`), name, address, trace; part of the hash';
COMMENT ON COLUMN ledger.steps.actor IS 'who asked for the step, as JSON: channel (`door`), name, address, trace';
COMMENT ON COLUMN ledger.accounts.made_by IS 'who asked for the account, as JSON: channel (`door`), name, address, trace';

ALTER TABLE messages DROP CONSTRAINT messages_state_check;
UPDATE messages SET state = 'queued' WHERE state = 'waiting';
DROP INDEX messages_waiting;
DROP INDEX messages_unanswered;
ALTER TABLE messages ADD CONSTRAINT messages_state_check CHECK (state IN ('received', 'queued', 'derived', 'answered', 'dead'));
CREATE INDEX messages_queued ON messages (case_no, message_no) WHERE state = 'queued';
CREATE INDEX messages_unanswered ON messages (received_at) WHERE state IN ('received', 'queued', 'derived');

ALTER TABLE needs RENAME TO idempotency_records;
ALTER TABLE idempotency_records RENAME COLUMN person TO subject;
ALTER TABLE idempotency_records RENAME COLUMN payment_id TO name;
ALTER TABLE idempotency_records ALTER COLUMN name TYPE text USING name::text;
ALTER INDEX needs_pkey RENAME TO idempotency_records_pkey;
ALTER INDEX needs_of_identity RENAME TO idempotency_records_of_identity;
COMMENT ON TABLE idempotency_records IS
    'Messages whose contract names an identity, by it: a subject and a name. The newest of an identity decides what a repeat is answered.';
COMMENT ON COLUMN idempotency_records.digest IS 'SHA-256 over what the message asks for: another digest under the same identity is refused.';

ALTER VIEW kvitt_views.cases RENAME COLUMN waiting_messages TO queued_messages;
CREATE OR REPLACE VIEW kvitt_views.case_timeline AS
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
    SELECT r.received_at, 'acknowledged', 'receipt ' || r.receipt_no || ' with severity ' || coalesce(nullif(r.severity, ''), 'none') || ': ' || r.outcome,
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

CREATE OR REPLACE VIEW kvitt_views.stuck AS
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
SELECT 'message queued', m.scheme, m.case_id, NULL, NULL, m.message_no, m.received_at, NULL,
       'an order of the case is open, or what stands is contradicted', 'the case being free'
FROM kvitt_views.messages AS m WHERE m.state = 'queued'
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
