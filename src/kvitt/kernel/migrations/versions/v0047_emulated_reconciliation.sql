-- The rail emulator as the judge of reconciliation: by which key, and as what, it holds each order; the messages of reconciliation that came; and
-- where they differ from its own records.

ALTER TABLE rail.received ADD COLUMN code text, ADD COLUMN component text, ADD COLUMN key text COLLATE "C", ADD COLUMN person text,
    ADD COLUMN kroner bigint, ADD COLUMN made text COLLATE "C";
COMMENT ON COLUMN rail.received.code IS 'The code of the answer; null = the answer left with its severity alone.';
COMMENT ON COLUMN rail.received.key IS 'The key of its reconciliation in a form that sorts; null = could not be read, or came before these were kept.';
COMMENT ON COLUMN rail.received.kroner IS 'The sum of the amounts of its lines: a check sum, and not money.';
COMMENT ON COLUMN rail.received.made IS 'When its sender made it, as the order says.';
ALTER TABLE rail.received DROP CONSTRAINT received_outcome_check;
ALTER TABLE rail.received ADD CONSTRAINT received_outcome_check
    CHECK (outcome IN ('accepted', 'warned', 'rejected', 'refused', 'unreadable', 'lost', 'invented')) NOT VALID;
CREATE INDEX received_of_key ON rail.received (area, key) WHERE key IS NOT NULL;

-- A run of reconciliation as its messages name it; the empty name has what could not be read.
CREATE TABLE rail.reconciliation (
    sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     text COLLATE "C" NOT NULL UNIQUE,
    kind       text NOT NULL,
    area       text COLLATE "C" NOT NULL,
    component  text NOT NULL,
    first_key  text NOT NULL,
    last_key   text NOT NULL,
    first_rank text COLLATE "C" NOT NULL,
    last_rank  text COLLATE "C" NOT NULL,
    began_at   timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX reconciliation_of_area ON rail.reconciliation (area, first_rank);

-- Each message, in the order in which they came.
CREATE TABLE rail.reconciliation_message (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id  text        NOT NULL,
    digest      bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    repeats     integer     NOT NULL DEFAULT 0,
    body        bytea       NOT NULL,
    run_id      text COLLATE "C" NOT NULL,
    action      text        NOT NULL,
    fields      jsonb       NOT NULL,
    totals      jsonb,
    items       integer     NOT NULL,
    problem     text        NOT NULL,
    UNIQUE (message_id, digest)
);
CREATE INDEX reconciliation_message_of_run ON rail.reconciliation_message (run_id, sequence);

-- Each order that a run says something of.
CREATE TABLE rail.reported_order (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id   text COLLATE "C" NOT NULL,
    kind     text NOT NULL,
    person   text NOT NULL,
    case_id  text COLLATE "C" NOT NULL,
    code     text NOT NULL,
    severity text NOT NULL,
    text     text NOT NULL,
    made     text COLLATE "C" NOT NULL
);
CREATE INDEX reported_order_of_run ON rail.reported_order (run_id, case_id, made);
CREATE INDEX reported_order_of_case ON rail.reported_order (case_id, made);

-- Each line that a run believes to be in force.
CREATE TABLE rail.reported_line (
    sequence  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id    text COLLATE "C" NOT NULL,
    case_id   text COLLATE "C" NOT NULL,
    line_id   text   NOT NULL,
    starts    date   NOT NULL,
    ends      date   NOT NULL,
    kroner    bigint NOT NULL,
    rate_code text   NOT NULL
);
CREATE INDEX reported_line_of_run ON rail.reported_line (run_id, case_id);

-- Where a run differs from the rail's own records.
CREATE TABLE rail.reconciliation_difference (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id   text COLLATE "C" NOT NULL,
    kind     text NOT NULL,
    case_id  text NOT NULL,
    about    text NOT NULL,
    expected text NOT NULL,
    found    text NOT NULL
);
CREATE INDEX reconciliation_difference_of_run ON rail.reconciliation_difference (run_id, sequence);
