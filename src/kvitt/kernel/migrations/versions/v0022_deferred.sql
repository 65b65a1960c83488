-- What came in for a case that somebody else had locked: kept as it came, and handled as soon as the case is free.

CREATE TABLE deferred (
    deferred_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scheme      text        NOT NULL,
    case_id     text        NOT NULL,
    source      text,
    partition   integer,
    position    bigint,
    key         bytea,
    headers     bytea,
    message_id  text,
    body        bytea       NOT NULL,
    came_at     timestamptz NOT NULL,
    taken_at    timestamptz,
    CHECK ((source IS NULL) = (partition IS NULL AND position IS NULL) AND (source IS NULL) <> (message_id IS NULL)),
    UNIQUE (source, partition, position)
);
CREATE INDEX deferred_open ON deferred (scheme, case_id, deferred_no) WHERE taken_at IS NULL;
COMMENT ON TABLE deferred IS 'Messages and receipts whose case was locked by somebody else when they came; the order in which they came is kept per case.';
COMMENT ON COLUMN deferred.message_id IS 'The id under which the queue handed out a receipt; messages have the place on their topic instead.';
COMMENT ON COLUMN deferred.taken_at IS 'When it was handled, in the same transaction.';
