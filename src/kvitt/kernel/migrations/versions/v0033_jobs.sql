-- What is done at set times, by one owner at a time, each due time once.

CREATE TABLE jobs (
    name          text        PRIMARY KEY,
    timetable     text        NOT NULL,
    catch_up      text        NOT NULL CHECK (catch_up IN ('each', 'last')),
    next_due      timestamptz NOT NULL,
    next_try      timestamptz NOT NULL,
    last_due      timestamptz,
    last_run      timestamptz,
    state         text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'failed')),
    tries         integer     NOT NULL DEFAULT 0,
    outcome       text,
    fencing_token bigint      NOT NULL DEFAULT 0
);
COMMENT ON TABLE jobs IS 'Scheduled jobs; who runs one holds the lease job:NAME, and ticks its due time off in the transaction of its work.';
COMMENT ON COLUMN jobs.next_due IS 'the due time that is run for next: with catch_up each the oldest one that was missed';
COMMENT ON COLUMN jobs.next_try IS 'when it is looked at again: the due time, or later after a failure';
COMMENT ON COLUMN jobs.fencing_token IS 'of the lease under which it was run last; an older owner ticks nothing off';
