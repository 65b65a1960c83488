-- Alarms about orders that have waited too long for their receipt, one at a time per order.

CREATE TABLE alarms (
    alarm_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   uuid        NOT NULL,
    area       text        NOT NULL,
    sent_at    timestamptz NOT NULL,
    raised_at  timestamptz NOT NULL,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alarms_standing ON alarms (order_id) WHERE cleared_at IS NULL;
COMMENT ON TABLE alarms IS 'Orders that had no receipt after the set time within the rail''s opening hours, and when they were settled after all.';
COMMENT ON COLUMN alarms.sent_at IS 'Since when the receipt was waited for: when the order was sent, or where that is not known, when its sending began.';
