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

CREATE INDEX reconciliation_runs_good ON reconciliation_runs (rail, area, kind, run_no) WHERE state = 'good';
CREATE VIEW open_reconciliation_runs AS
SELECT n.run_no, n.rail, n.area, n.kind, n.state, n.made_at
FROM reconciliation_runs AS n
WHERE n.state IN ('making', 'made') AND NOT (n.state = 'making' AND n.run_no < coalesce((
    SELECT l.run_no FROM reconciliation_runs AS l
    WHERE l.rail = n.rail AND l.area = n.area AND l.kind = n.kind AND l.state = 'good'
    ORDER BY l.run_no DESC LIMIT 1
), 0));
COMMENT ON VIEW open_reconciliation_runs IS 'Runs that are to leave. What broke off while it was made is no matter once a later run of the area has left.';
