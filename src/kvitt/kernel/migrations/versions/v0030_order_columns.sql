-- What reconciliation and simulation ask of orders and their lines stands in columns; so far it was in the bytes of the order alone.
-- Rows that are there are filled in behind this migration, from the stored bytes; what is written from now on has all of it.

ALTER TABLE orders ADD COLUMN day date, ADD COLUMN sum_kroner bigint;
COMMENT ON COLUMN orders.day IS 'The day on which it was made, in Oslo.';
COMMENT ON COLUMN orders.sum_kroner IS 'The sum of the amounts of its lines, cessations too, whatever each is paid per: a check sum, and not money.';
ALTER TABLE orders ADD CONSTRAINT orders_complete CHECK (day IS NOT NULL AND sum_kroner IS NOT NULL) NOT VALID;

ALTER TABLE order_lines ADD COLUMN rate_type text CHECK (rate_type IN ('day', 'weekday', 'month', 'one_off')), ADD COLUMN decided_on date,
    ADD COLUMN caseworker text, ADD COLUMN approver text, ADD COLUMN recipient text, ADD COLUMN office text, ADD COLUMN grade smallint;
COMMENT ON COLUMN order_lines.rate_type IS 'What the amount is paid per.';
COMMENT ON COLUMN order_lines.decided_on IS 'The day of the decision; NULL where the sender does not tell the rail.';
COMMENT ON COLUMN order_lines.recipient IS 'Who is paid: the person, or the organisation that gets a refund.';
COMMENT ON COLUMN order_lines.office IS 'The office that pays; NULL: the rail''s usual one.';
COMMENT ON COLUMN order_lines.grade IS 'A percentage; NULL where the sender tells none.';
ALTER TABLE order_lines ADD CONSTRAINT order_lines_complete CHECK (
    rate_type IS NOT NULL AND caseworker IS NOT NULL AND approver IS NOT NULL AND recipient IS NOT NULL
) NOT VALID;
