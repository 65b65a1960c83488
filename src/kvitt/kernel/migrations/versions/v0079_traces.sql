-- Traces are made of what the store knows anyway; all that they need is how far they are made.
CREATE TABLE traces_made (
    trail text   PRIMARY KEY CHECK (trail IN ('published', 'acknowledged', 'taken_in')),
    until bigint NOT NULL
);
COMMENT ON TABLE traces_made IS 'Up to which record of the outbox, receipt and message traces are made; empty where none ever were.';
