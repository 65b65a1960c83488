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

CREATE OR REPLACE VIEW kvitt_views.reconciliations AS
SELECT n.run_no, n.run_id, n.rail, n.area, n.kind, n.form, n.first_day, n.last_day, n.first_key, n.last_key, n.trigger, n.made_by, n.reason,
       n.made_at, n.state, n.good_at, n.replaced_by, n.orders, n.messages, n.accepted, n.warned, n.rejected, n.missing, n.accepted_kroner,
       n.warned_kroner, n.rejected_kroner, n.missing_kroner,
       (SELECT count(*) FROM public.reconciliation_messages AS m WHERE m.run_no = n.run_no AND m.state = 'sent') AS messages_sent,
       n.cases, n.lines, n.kroner
FROM public.reconciliation_runs AS n;

CREATE VIEW kvitt_views.reconciliation_remarks AS
SELECT r.run_no, r.case_no, c.scheme, c.case_id, r.remark, r.order_id
FROM public.reconciliation_remarks AS r JOIN public.cases AS c ON c.case_no = r.case_no;
