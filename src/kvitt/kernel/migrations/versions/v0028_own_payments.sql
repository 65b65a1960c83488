-- Payments are kept in a form of our own, and what is told of them in the form of a contract is kept where it is told: in the outbox.
-- Rows that are there are filled in behind this migration, batch by batch; nothing runs on the database until that is done.

CREATE TABLE backfills (
    place     bigint GENERATED ALWAYS AS IDENTITY,
    name      text   PRIMARY KEY,
    migration text   NOT NULL,
    after     text   NOT NULL DEFAULT '',
    rows      bigint NOT NULL DEFAULT 0,
    done_at   timestamptz
);
COMMENT ON TABLE backfills IS 'What migrations left to be filled in behind them, and how far that has come.';
COMMENT ON COLUMN backfills.after IS 'The place up to which all is filled in, in the words of the back-fill.';

-- Without a default, so that a process of before, which would store payments in the old form, is refused.
ALTER TABLE payments ADD COLUMN currency text NOT NULL DEFAULT 'NOK';
ALTER TABLE payments ALTER COLUMN currency DROP DEFAULT;
COMMENT ON COLUMN payments.document IS 'The payment as JSON of our own, with the names of its value; amounts in whole units of the currency.';

-- Holds for what is written from now on; it is proved of the rest when that is filled in.
ALTER TABLE outbox ADD CONSTRAINT outbox_payments_by_value CHECK (payment_id IS NULL OR value IS NOT NULL) NOT VALID;
COMMENT ON TABLE outbox IS 'What shall be told, per topic and key. `value` is null where the bytes already are a fact, as an order, and for a tombstone.';
