-- What the rapid adds to the hub: needs with their identity, forwarded lines, records without a key, the queue's priority.

ALTER TABLE messages ALTER COLUMN key DROP NOT NULL;
ALTER TABLE outbox ALTER COLUMN key DROP NOT NULL;

ALTER TABLE orders ADD COLUMN priority smallint NOT NULL DEFAULT 4 CHECK (priority BETWEEN 0 AND 9);
ALTER TABLE orders ADD COLUMN reconciliation_key bigint;
CREATE UNIQUE INDEX orders_reconciliation_key ON orders (reconciliation_key) WHERE reconciliation_key IS NOT NULL;
COMMENT ON COLUMN orders.reconciliation_key IS 'The nanosecond that names a forwarded order in the daily reconciliation; never given twice.';

ALTER TABLE order_lines ADD COLUMN forwarded boolean NOT NULL DEFAULT false;
ALTER TABLE order_lines DROP CONSTRAINT order_lines_amount_check;
ALTER TABLE order_lines ADD CONSTRAINT order_lines_amount_check CHECK (amount > 0 OR forwarded);
DROP INDEX order_lines_new;
CREATE UNIQUE INDEX order_lines_new ON order_lines (line_id) WHERE ceased_from IS NULL AND NOT forwarded;
COMMENT ON INDEX order_lines_new IS 'A line id of ours is made once, in all cases and for ever: the rail takes it for the same line otherwise.';
COMMENT ON COLUMN order_lines.forwarded IS 'The sender made this line and its id; ids are counted anew in every case.';

CREATE TABLE needs (
    message_no bigint PRIMARY KEY,
    case_no    bigint NOT NULL,
    person     text   NOT NULL,
    payment_id uuid   NOT NULL,
    digest     bytea  NOT NULL
);
CREATE INDEX needs_of_identity ON needs (case_no, person, payment_id, message_no);
COMMENT ON TABLE needs IS 'Needs of the rapid that were let in, by their identity; the newest of an identity decides what a repeat is told.';
