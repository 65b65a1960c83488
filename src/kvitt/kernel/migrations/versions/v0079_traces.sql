-- Traces are made of what the store knows anyway; all that they need is how far they are made.
CREATE TABLE traces_made (
    is_only   boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    outbox_no bigint  NOT NULL
);
COMMENT ON TABLE traces_made IS 'Up to which record of the outbox traces of messages are made; empty where none ever were.';
