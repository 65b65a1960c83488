-- Alarms about areas of which no run was made in time, or of which one does not leave: one at a time per area and kind of run.
CREATE TABLE reconciliation_alarms (
    alarm_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area       text        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('interface', 'consistency')),
    since      timestamptz NOT NULL,
    raised_at  timestamptz NOT NULL,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX reconciliation_alarms_standing ON reconciliation_alarms (area, kind) WHERE cleared_at IS NULL;
COMMENT ON TABLE reconciliation_alarms IS 'Areas that were not reconciled in time, and when nothing of them was left to report.';
COMMENT ON COLUMN reconciliation_alarms.since IS 'When the run was due or, if it was made and has not left, when it was made.';

CREATE INDEX reconciliation_runs_open ON reconciliation_runs (made_at) WHERE state IN ('making', 'made');

CREATE VIEW kvitt_views.reconciliation_alarms AS
SELECT a.alarm_no, a.area, a.kind, a.since, a.raised_at, a.cleared_at FROM public.reconciliation_alarms AS a;

-- A run of which it is unknown how far it came waits for a person as well.
DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW kvitt_views.stuck AS ' || rtrim(pg_get_viewdef('kvitt_views.stuck'::regclass), E'; \n') || $view$
UNION ALL
SELECT 'reconciliation unknown', NULL, NULL, n.area, NULL, NULL, n.made_at, NULL,
       'nobody knows whether ' || count(*) || ' messages of run ' || n.run_no || ' reached the queue', 'kvitt reconcile resolve'
FROM public.reconciliation_runs AS n JOIN public.reconciliation_messages AS m ON m.run_no = n.run_no
WHERE n.state = 'made' AND m.state = 'unknown'
GROUP BY n.run_no, n.area, n.made_at$view$;
END
$$;
