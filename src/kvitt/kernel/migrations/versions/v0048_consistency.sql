-- Consistency reconciliation reports lines in force on a day, made in parts: a run is `making` until its last part is stored, and nothing of it
-- leaves before.

ALTER TABLE reconciliation_runs DROP CONSTRAINT reconciliation_runs_state_check;
ALTER TABLE reconciliation_runs ADD CONSTRAINT reconciliation_runs_state_check
    CHECK (state IN ('making', 'made', 'good', 'empty', 'replaced'));

ALTER TABLE reconciliation_runs ADD COLUMN cases bigint NOT NULL DEFAULT 0, ADD COLUMN lines bigint NOT NULL DEFAULT 0,
    ADD COLUMN kroner numeric NOT NULL DEFAULT 0, ADD COLUMN last_case bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN reconciliation_runs.cases IS 'Cases whose lines in force are reported; 0 in a run about orders.';
COMMENT ON COLUMN reconciliation_runs.lines IS 'Lines in force that are reported.';
COMMENT ON COLUMN reconciliation_runs.kroner IS 'The sum of the amounts of these lines: a check sum, and not money.';
COMMENT ON COLUMN reconciliation_runs.last_case IS 'The last case that was looked at: a run that broke off goes on behind it.';
ALTER TABLE reconciliation_runs ADD CONSTRAINT reconciliation_runs_of_lines
    CHECK (CASE kind WHEN 'consistency' THEN first_day = last_day AND orders = 0 ELSE state <> 'making' AND cases = 0 AND lines = 0 END);
CREATE TABLE reconciliation_remarks (
    run_no   bigint NOT NULL REFERENCES reconciliation_runs,
    case_no  bigint NOT NULL,
    remark   text   NOT NULL CHECK (remark IN ('open order', 'contradicted', 'taken over')),
    -- The order that it is about; one that was open when the run began does not count in it, however early it was accepted.
    order_id uuid,
    CHECK ((order_id IS NULL) = (remark = 'taken over'))
);
CREATE INDEX reconciliation_remarks_of_run ON reconciliation_remarks (run_no, case_no);
COMMENT ON TABLE reconciliation_remarks IS 'Cases of which the rail may have other lines in force than a run reports: an order was under way, the rail says otherwise than what holds here, or lines of a hub before this one are not known.';

-- A run about lines has very many messages: those that are under way are found among those that are ready without reading these.
DROP INDEX reconciliation_messages_open;
CREATE INDEX reconciliation_messages_open ON reconciliation_messages (run_no, state, place) WHERE state IN ('ready', 'sending', 'unknown');

CREATE TABLE reconciliation_parts (
    run_no  bigint      NOT NULL REFERENCES reconciliation_runs,
    part    integer     NOT NULL,
    -- Of all that the caller said, so that the same batch is known again.
    digest  bytea       NOT NULL,
    cases   bigint      NOT NULL,
    kroner  numeric     NOT NULL,
    made_by text        NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (run_no, part),
    UNIQUE (run_no, digest)
);
COMMENT ON TABLE reconciliation_parts IS 'Batches in which a caller has named the lines of a run: each is taken once.';
