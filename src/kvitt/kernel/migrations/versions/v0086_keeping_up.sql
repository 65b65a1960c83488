-- Whether the hub keeps up, minute by minute.

CREATE TABLE keeping_up (
    at                  timestamptz PRIMARY KEY DEFAULT now(),
    -- Null: the brokers could not be asked.
    not_taken_in        bigint      CHECK (not_taken_in >= 0),
    unpublished_seconds integer     NOT NULL CHECK (unpublished_seconds >= 0),
    unanswered_seconds  integer     NOT NULL CHECK (unanswered_seconds >= 0)
);
COMMENT ON TABLE keeping_up IS 'How many records of the log were not taken in at a moment, and how old the oldest record of the outbox and the oldest message without an answer were.';

CREATE VIEW kvitt_views.keeping_up AS
SELECT k.at, k.not_taken_in, k.unpublished_seconds, k.unanswered_seconds FROM public.keeping_up AS k;
