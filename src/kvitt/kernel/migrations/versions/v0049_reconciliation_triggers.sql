-- Records of topics that ask for reconciliation up to a day. Each is stored with the batch it came in, and done soon after.
CREATE TABLE reconciliation_triggers (
    trigger_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     text        NOT NULL,
    partition  integer     NOT NULL,
    position   bigint      NOT NULL,
    key        bytea,
    body       bytea       NOT NULL,
    headers    bytea,
    edition    smallint    NOT NULL,
    -- The last day that is to be reconciled.
    up_to      date        NOT NULL,
    came_at    timestamptz NOT NULL,
    -- When it is looked at next: at once, and later if it could not be done.
    due_at     timestamptz NOT NULL,
    tries      integer     NOT NULL DEFAULT 0,
    done_at    timestamptz,
    -- What came of it, or why it could not be done.
    outcome    text,
    UNIQUE (source, partition, position)
);
CREATE INDEX reconciliation_triggers_open ON reconciliation_triggers (due_at) WHERE done_at IS NULL;
COMMENT ON TABLE reconciliation_triggers IS 'Records that asked for reconciliation, byte for byte, each taken once.';

ALTER TABLE reconciliation_runs ADD COLUMN trigger_no bigint REFERENCES reconciliation_triggers;
CREATE INDEX reconciliation_runs_of_trigger ON reconciliation_runs (trigger_no) WHERE trigger_no IS NOT NULL;
COMMENT ON COLUMN reconciliation_runs.trigger_no IS 'The record that asked for it, where one did.';

CREATE VIEW kvitt_views.reconciliation_triggers AS
SELECT t.trigger_no, t.source, t.partition, t.position, t.up_to, t.came_at, t.due_at, t.tries, t.done_at, t.outcome,
       (SELECT count(*) FROM public.reconciliation_runs AS n WHERE n.trigger_no = t.trigger_no) AS runs
FROM public.reconciliation_triggers AS t;
