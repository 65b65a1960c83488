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
-- Views stay as they are but for a word.
DO $$
DECLARE
    word text[];
BEGIN
    FOREACH word SLICE 1 IN ARRAY ARRAY[
        ['case_timeline', '''receipted''', '''acknowledged'''],
        ['stuck', '''message waiting''', '''message queued'''],
        ['stuck', '''waiting''', '''queued''']
    ] LOOP
        EXECUTE format(
            'CREATE OR REPLACE VIEW kvitt_views.%I AS %s',
            word[1], replace(pg_get_viewdef(format('kvitt_views.%I', word[1])::regclass), word[2], word[3])
        );
    END LOOP;
END $$;
