-- Simulations that were asked for: by a dry run, by a call, or before the orders of a message leave.

CREATE TABLE simulation_requests (
    request_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- By which it is asked for once: the same name is refused.
    name         text        NOT NULL UNIQUE,
    asker        text        NOT NULL CHECK (asker IN ('message', 'call', 'check')),
    contract     text        NOT NULL,
    -- The dry run, or the message whose orders are checked.
    message_no   bigint,
    caller       text,
    case_no      bigint      NOT NULL,
    person       text        NOT NULL,
    rail         text        NOT NULL,
    state        text        NOT NULL DEFAULT 'requested'
                 CHECK (state IN ('requested', 'asked', 'answered', 'refused', 'closed', 'failed')),
    requested_at timestamptz NOT NULL,
    -- Past it nobody waits for the outcome.
    deadline     timestamptz,
    -- Who asks just now, and when it was begun.
    simulator    text,
    asked_at     timestamptz,
    times_asked  integer     NOT NULL DEFAULT 0,
    ended_at     timestamptz,
    -- Why there is no simulation, where there is none.
    reason       text,
    note         text,
    CHECK ((asker = 'call') = (message_no IS NULL)),
    CHECK ((state IN ('requested', 'asked')) = (ended_at IS NULL))
);
CREATE INDEX simulation_requests_open ON simulation_requests (rail, request_no) WHERE state IN ('requested', 'asked');
CREATE INDEX simulation_requests_asked ON simulation_requests (case_no) WHERE state = 'asked';
CREATE INDEX simulation_requests_of_case ON simulation_requests (case_no, request_no);
CREATE INDEX simulation_requests_of_message ON simulation_requests (message_no) WHERE message_no IS NOT NULL;

-- One question for each order of a request, and the rail's raw answer.
CREATE TABLE simulation_questions (
    request_no bigint  NOT NULL REFERENCES simulation_requests,
    place      integer NOT NULL,
    area       text    NOT NULL,
    -- The order that is checked; a dry run's order is never made.
    order_id   uuid,
    question   bytea   NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    -- The HTTP status and the body as they came; none where nothing came, or where it was too long to be kept.
    status     integer,
    answer     bytea,
    -- Why there is no simulation, where the answer itself does not say it.
    reason     text,
    note       text,
    by_rule    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (request_no, place)
);
