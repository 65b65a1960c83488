-- The embedded message queue: every named queue is a slice of one table. A consumed message keeps its id, without its body,
-- so that the same id put again is recognised until it is pruned.

CREATE SCHEMA queue;

CREATE TABLE queue.message (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue       text        NOT NULL,
    message_id  text        NOT NULL,
    body        bytea,
    reply_to    text        NOT NULL,
    priority    smallint    NOT NULL CHECK (priority BETWEEN 0 AND 9),
    deliveries  integer     NOT NULL DEFAULT 0,
    put_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    consumed_at timestamptz,
    CONSTRAINT message_once_per_queue UNIQUE (queue, message_id),
    CONSTRAINT body_until_consumed CHECK ((body IS NULL) = (consumed_at IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX message_ready ON queue.message (queue, priority DESC, sequence) WHERE consumed_at IS NULL;
CREATE INDEX message_consumed ON queue.message (consumed_at) WHERE consumed_at IS NOT NULL;
