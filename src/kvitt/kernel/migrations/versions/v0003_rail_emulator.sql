-- The rail emulator's own books: what it received, what it accepted, what it answered. Nothing of the hub reads or writes here.

CREATE SCHEMA rail;

-- Every order received. A message id that comes back with the same bytes is a repeat; with other bytes it is a conflict.
CREATE TABLE rail.received (
    message_id  text        PRIMARY KEY,
    digest      bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    area        text COLLATE "C" NOT NULL,
    case_id     text COLLATE "C" NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('accepted', 'warned', 'rejected', 'refused', 'unreadable')),
    severity    text        NOT NULL,
    note        text        NOT NULL,
    repeats     integer     NOT NULL DEFAULT 0
);
CREATE INDEX received_digest ON rail.received (digest);

CREATE TABLE rail.conflict (
    message_id  text        NOT NULL,
    digest      bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (message_id, digest)
);

-- An order-110: one person's matter in one posting area.
CREATE TABLE rail.known_case (
    area      text COLLATE "C" NOT NULL,
    case_id   text COLLATE "C" NOT NULL,
    person    text NOT NULL,
    opened_by text NOT NULL,
    PRIMARY KEY (area, case_id)
);

-- The journal of accepted lines in the order they took effect. Never changed: the schedule is read out of it.
CREATE TABLE rail.entry (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area         text COLLATE "C" NOT NULL,
    case_id      text COLLATE "C" NOT NULL,
    kind         text   NOT NULL CHECK (kind IN ('line', 'cessation')),
    chain        text   NOT NULL,
    line_id      text   NOT NULL,
    starts       date   NOT NULL,
    ends         date   NOT NULL,
    amount       bigint NOT NULL,
    rate_code    text   NOT NULL,
    class_code   text   NOT NULL,
    decided_rate bigint,
    ceased_from  date   CHECK ((ceased_from IS NOT NULL) = (kind = 'cessation')),
    message_id   text   NOT NULL
);
CREATE INDEX entry_of_case ON rail.entry (area, case_id, sequence);
CREATE UNIQUE INDEX line_accepted_once ON rail.entry (area, case_id, line_id) WHERE kind = 'line';

-- Hold-backs of a case, one per first day; a later one for the same first day replaces it.
CREATE TABLE rail.hold_back (
    area         text COLLATE "C" NOT NULL,
    case_id      text COLLATE "C" NOT NULL,
    starts       date    NOT NULL,
    ends         date,
    transfers_on date,
    is_error     boolean NOT NULL,
    PRIMARY KEY (area, case_id, starts)
);

-- Receipts in the order they shall leave. A receipt is decided with the books and put on the reply queue afterwards.
CREATE TABLE rail.receipt (
    sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receipt_id text        NOT NULL UNIQUE,
    message_id text        NOT NULL,
    digest     bytea       NOT NULL,
    reply_to   text        NOT NULL,
    body       bytea       NOT NULL,
    due_at     timestamptz,
    put_at     timestamptz
);
COMMENT ON COLUMN rail.receipt.due_at IS 'when it may leave; null = swallowed';
CREATE INDEX receipt_waiting ON rail.receipt (sequence) WHERE put_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX receipt_of_message ON rail.receipt (message_id);

-- The faults that are switched on; one row.
CREATE TABLE rail.faults (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    faults   jsonb NOT NULL
);
INSERT INTO rail.faults (faults) VALUES ('{}');
