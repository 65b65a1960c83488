-- A run over orders with numbers of their own looks at the days since the last one, and of earlier days only at what was left open.

ALTER TABLE reconciled_areas ADD COLUMN whole_until date;
COMMENT ON COLUMN reconciled_areas.whole_until IS 'Of orders with numbers made up to this day only those in reports_open are still to be reported; NULL: every one since the first run may be.';
CREATE TABLE reports_open (
    order_id uuid PRIMARY KEY,
    rail     text NOT NULL,
    area     text NOT NULL
);
CREATE INDEX reports_open_of_area ON reports_open (area, rail);
COMMENT ON TABLE reports_open IS 'Orders with numbers of days that are reported, that had not left by then, or had no answer: the run after the one reports them.';

-- A run, and whoever asks for the first order, is about one area.
DROP INDEX orders_of_day;
CREATE INDEX orders_of_day ON orders (area, day);
