-- The ledger's and the payouts' columns have the trade's words: posted and available amounts, and the steps of a saga, which are compensated.

ALTER TABLE ledger.accounts RENAME COLUMN own TO posted;
ALTER TABLE ledger.accounts RENAME COLUMN least TO available_min;
ALTER TABLE ledger.accounts RENAME COLUMN most TO available_max;
COMMENT ON COLUMN ledger.accounts.posted IS 'what committed plans have given it, in minor units of its currency (own_amount)';
COMMENT ON COLUMN ledger.accounts.available_min IS 'posted, less what open plans may still take (min_available_amount)';
COMMENT ON COLUMN ledger.accounts.available_max IS 'posted, and what open plans may still bring (max_available_amount)';
ALTER TABLE ledger.entries RENAME COLUMN own TO posted;
ALTER TABLE ledger.entries RENAME COLUMN least TO available_min;
ALTER TABLE ledger.entries RENAME COLUMN most TO available_max;

ALTER TABLE payouts.intents RENAME TO saga_steps;
ALTER TABLE payouts.saga_steps RENAME COLUMN epoch TO fencing_token;
DROP INDEX payouts.intents_open, payouts.intents_due;
ALTER TABLE payouts.saga_steps DROP CONSTRAINT intents_state_check, DROP CONSTRAINT intents_check;
UPDATE payouts.saga_steps SET state = CASE state WHEN 'back' THEN 'compensating' ELSE 'compensated' END WHERE state IN ('back', 'undone');
ALTER TABLE payouts.saga_steps
    ADD CONSTRAINT saga_steps_state_check CHECK (state IN ('forward', 'compensating', 'done', 'compensated')),
    ADD CONSTRAINT saga_steps_closed_check CHECK ((closed_at IS NULL) = (state IN ('forward', 'compensating')));
ALTER TABLE payouts.saga_steps RENAME CONSTRAINT intents_pkey TO saga_steps_pkey;
ALTER TABLE payouts.saga_steps RENAME CONSTRAINT intents_action_check TO saga_steps_action_check;
CREATE UNIQUE INDEX saga_steps_open ON payouts.saga_steps (payout_id) WHERE state IN ('forward', 'compensating');
CREATE INDEX saga_steps_due ON payouts.saga_steps (next_try_at) WHERE state IN ('forward', 'compensating');
COMMENT ON TABLE payouts.saga_steps IS 'What is to be done at a ledger that is not ours: a row before the first call, closed when the outcome is known.';
COMMENT ON COLUMN payouts.saga_steps.state IS
    'forward: to be done; compensating: to be undone, so that nothing stays held; done and compensated are final';
COMMENT ON COLUMN payouts.saga_steps.fencing_token IS 'grows with each owner; a write with an old one changes nothing';
