-- A run writes a row for each order of a day, which may be a million. Looking for its run once for each of them cost as much again as the
-- row, so it is no foreign key any more; `kvitt check` finds rows of runs that are not there. Two indexes do the work of three.
ALTER TABLE reconciled_orders DROP CONSTRAINT reconciled_orders_run_no_fkey;
ALTER TABLE reconciled_orders DROP CONSTRAINT reconciled_orders_pkey;
DROP INDEX reconciled_orders_of_order;
ALTER TABLE reconciled_orders ADD PRIMARY KEY (order_id, run_no);
CREATE INDEX reconciled_orders_of_run ON reconciled_orders (run_no);
