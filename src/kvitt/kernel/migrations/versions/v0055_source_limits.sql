-- What sources with a limit have had paid, hour by hour.

CREATE TABLE source_hours (
    source text        NOT NULL,
    hour   timestamptz NOT NULL,
    kroner bigint      NOT NULL CHECK (kroner >= 0),
    PRIMARY KEY (source, hour)
) WITH (fillfactor = 50);
COMMENT ON TABLE source_hours IS 'Kroner that the orders of a source with a limit pay more than was paid before, in each hour of the clock; orders that are held for the limit are not counted.';

CREATE INDEX orders_over_limit ON orders (made_at, message_no) WHERE state = 'ready' AND held_for @> '[{"kind": "over_limit"}]';
