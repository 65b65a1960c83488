-- An order that may be at the rail and is sent again on another day leaves under the key of that day. The rail has it under the first one too.
CREATE TABLE earlier_key_days (
    order_id uuid NOT NULL,
    key_day  date NOT NULL,
    PRIMARY KEY (order_id, key_day)
);
CREATE INDEX earlier_key_days_of_day ON earlier_key_days (key_day);
COMMENT ON TABLE earlier_key_days IS 'Under the keys of which days orders have left, or may have, before they were sent again under another.';

-- A run over several days reports an order under each day on which it left.
ALTER TABLE reconciled_orders DROP CONSTRAINT reconciled_orders_pkey;
ALTER TABLE reconciled_orders ADD PRIMARY KEY (order_id, run_no, key_day);
