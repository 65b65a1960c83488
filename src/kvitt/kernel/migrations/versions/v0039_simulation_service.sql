-- The rail emulator pays, and simulates what it would pay. Nothing of the hub reads or writes here.

-- Who gets the money of a line ('' = nobody is named: the person of the case) and by which grade.
ALTER TABLE rail.entry
    ADD COLUMN payee text    NOT NULL DEFAULT '',
    ADD COLUMN grade integer;

CREATE INDEX known_case_of_person ON rail.known_case (person, area, case_id);

-- The days of payment runs that were played.
CREATE TABLE rail.payment_run (
    day       date        PRIMARY KEY,
    played_at timestamptz NOT NULL
);

-- What was paid for each day of a line, after the newest run that changed it.
CREATE TABLE rail.paid (
    area       text COLLATE "C" NOT NULL,
    case_id    text COLLATE "C" NOT NULL,
    line_id    text    NOT NULL,
    day        date    NOT NULL,
    until      date    NOT NULL,
    class_code text    NOT NULL,
    rate_code  text    NOT NULL,
    payee      text    NOT NULL,
    amount     bigint  NOT NULL,
    grade      integer,
    PRIMARY KEY (area, case_id, line_id, day)
);

-- What is under recovery of each day, by class.
CREATE TABLE rail.recovery (
    area       text COLLATE "C" NOT NULL,
    case_id    text COLLATE "C" NOT NULL,
    payee      text   NOT NULL,
    day        date   NOT NULL,
    class_code text   NOT NULL,
    amount     bigint NOT NULL CHECK (amount > 0),
    PRIMARY KEY (area, case_id, payee, day, class_code)
);

-- The rows that the runs posted, in order. Never changed.
CREATE TABLE rail.run_row (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_day     date    NOT NULL,
    area        text COLLATE "C" NOT NULL,
    case_id     text COLLATE "C" NOT NULL,
    payee       text    NOT NULL,
    first       date    NOT NULL,
    last        date    NOT NULL,
    row_type    text    NOT NULL CHECK (row_type IN ('YTEL', 'FEIL', 'MOTP', 'SKAT', 'TREK')),
    class_code  text    NOT NULL,
    amount      bigint  NOT NULL,
    line_id     text    NOT NULL,
    is_reversal boolean NOT NULL
);
CREATE INDEX run_row_of_case ON rail.run_row (area, case_id, sequence);

-- What is held back from a person's money: tax in per cent of what is paid out, and a deduction of so many kroner a run.
CREATE TABLE rail.withholding (
    person           text    PRIMARY KEY,
    tax_percent      integer NOT NULL CHECK (tax_percent BETWEEN 0 AND 100),
    deduction_class  text    NOT NULL,
    deduction_kroner bigint  NOT NULL CHECK (deduction_kroner >= 0)
);

-- How the simulation service behaves, and what goes wrong there; one row.
CREATE TABLE rail.simulation_service (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    habits   jsonb NOT NULL,
    faults   jsonb NOT NULL
);
INSERT INTO rail.simulation_service (habits, faults) VALUES ('{}', '{}');

-- The SAML assertions handed out.
CREATE TABLE rail.assertion (
    assertion_id text        PRIMARY KEY,
    user_name    text        NOT NULL,
    valid_until  timestamptz NOT NULL
);

-- Every simulation asked for, when its answer left.
CREATE TABLE rail.simulated (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id  text        NOT NULL,
    area        text COLLATE "C" NOT NULL,
    case_id     text COLLATE "C" NOT NULL,
    asked_at    timestamptz NOT NULL,
    answered_at timestamptz NOT NULL,
    outcome     text        NOT NULL,
    note        text        NOT NULL
);

-- An order and a simulation of one case at the rail at the same time, which must never be.
CREATE TABLE rail.violation (
    sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    noticed_at timestamptz NOT NULL,
    area       text COLLATE "C" NOT NULL,
    case_id    text COLLATE "C" NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('order while simulating', 'simulation while booking', 'simulation before the receipt')),
    message_id text NOT NULL
);
