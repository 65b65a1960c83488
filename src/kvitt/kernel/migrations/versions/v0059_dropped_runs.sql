-- A run about lines that nobody makes whole is given up by an operator: nothing of it leaves.

ALTER TABLE reconciliation_runs DROP CONSTRAINT reconciliation_runs_state_check;
ALTER TABLE reconciliation_runs ADD CONSTRAINT reconciliation_runs_state_check
    CHECK (state IN ('making', 'made', 'good', 'empty', 'replaced', 'dropped'));
ALTER TABLE reconciliation_runs ADD CONSTRAINT reconciliation_runs_dropped CHECK (state <> 'dropped' OR kind = 'consistency');
