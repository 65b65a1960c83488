-- Stored positions mean something on one log only, so the database knows which one it belongs to.

CREATE TABLE source (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log      text    NOT NULL
);
COMMENT ON TABLE source IS 'The log that messages come from: embedded, or a Kafka cluster by its id.';

-- Until now there was only the embedded one.
INSERT INTO source (log) SELECT 'embedded' WHERE EXISTS (SELECT FROM messages);
