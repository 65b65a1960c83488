-- Decisions of cases that were taken over: no message of ours has them, and later ones go on from them.

CREATE TABLE imported_decisions (
    -- Drawn from the numbers of messages, so that all that comes later has a higher one.
    message_no bigint NOT NULL PRIMARY KEY,
    case_no    bigint NOT NULL,
    subject    text   NOT NULL,
    name       text   NOT NULL,
    state      text   NOT NULL CHECK (state IN ('accepted', 'without_payment', 'rejected')),
    digest     bytea  NOT NULL,
    answer     bytea  NOT NULL
);
CREATE UNIQUE INDEX imported_decisions_by_key ON imported_decisions (case_no, subject, name);
CREATE INDEX imported_decisions_of_case ON imported_decisions (case_no, message_no);
CREATE INDEX imported_decisions_by_subject ON imported_decisions (subject, name);
COMMENT ON TABLE imported_decisions IS 'Decisions of cases that were taken over from an older system, oldest first within a case.';
COMMENT ON COLUMN imported_decisions.digest IS 'Of all that the decision says: a repeat of it has the same one.';
COMMENT ON COLUMN imported_decisions.answer IS 'What a repeat, or a question for its status, hears.';
