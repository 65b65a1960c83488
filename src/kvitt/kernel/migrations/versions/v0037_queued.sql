-- A message of a busy case is queued; tables and columns are named for what they hold, whatever contract fills them.

ALTER TABLE cases RENAME COLUMN waiting TO queued;
ALTER TABLE cases RENAME COLUMN audit_hash TO last_event_hash;
ALTER TABLE operators RENAME COLUMN audit_hash TO last_event_hash;
ALTER TABLE payments RENAME COLUMN listed TO position_in_case;
ALTER TABLE telling RENAME TO publishing;
COMMENT ON COLUMN cases.queued IS 'How many messages of the case are queued.';
COMMENT ON TABLE payments IS
    'Versions of payments, never edited: pending until the receipt, then accepted or dropped. `position_in_case` orders the case list.';

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
