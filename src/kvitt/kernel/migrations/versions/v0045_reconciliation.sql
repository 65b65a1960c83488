-- Reconciliation: what is reported to a rail of the orders that it should have, once for each area and range of days, and of the lines in force.

-- Until where an area has been reconciled. Whoever makes a run locks its row first, so that no range is reported twice.
CREATE TABLE reconciled_areas (
    rail        text NOT NULL,
    area        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('interface', 'consistency')),
    -- The last day that a run has covered.
    last_day    date,
    PRIMARY KEY (rail, area, kind)
);

CREATE TABLE reconciliation_runs (
    run_no      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      uuid        NOT NULL UNIQUE,
    rail        text        NOT NULL,
    area        text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('interface', 'consistency')),
    -- How its messages are written.
    form        text        NOT NULL,
    first_day   date        NOT NULL,
    last_day    date        NOT NULL,
    -- As the messages have them; NULL where there is nothing to report.
    first_key   text,
    last_key    text,
    first_at    timestamptz,
    last_at     timestamptz,
    -- Who made it: the schedule, an event, a call or an operator; and why, where it is out of turn.
    trigger     text        NOT NULL CHECK (trigger IN ('schedule', 'event', 'call', 'operator')),
    made_by     text,
    reason      text,
    made_at     timestamptz NOT NULL,
    state       text        NOT NULL CHECK (state IN ('made', 'good', 'empty', 'replaced')),
    -- When the last of its messages was put.
    good_at     timestamptz,
    -- The run over the same range that came in its place.
    replaced_by bigint REFERENCES reconciliation_runs,
    orders      bigint      NOT NULL DEFAULT 0,
    messages    integer     NOT NULL DEFAULT 0,
    accepted    bigint      NOT NULL DEFAULT 0,
    warned      bigint      NOT NULL DEFAULT 0,
    rejected    bigint      NOT NULL DEFAULT 0,
    missing     bigint      NOT NULL DEFAULT 0,
    accepted_kroner numeric NOT NULL DEFAULT 0,
    warned_kroner   numeric NOT NULL DEFAULT 0,
    rejected_kroner numeric NOT NULL DEFAULT 0,
    missing_kroner  numeric NOT NULL DEFAULT 0,
    CHECK (first_day <= last_day),
    CHECK ((state = 'replaced') = (replaced_by IS NOT NULL)),
    CHECK (orders = accepted + warned + rejected + missing)
);
CREATE INDEX reconciliation_runs_of_area ON reconciliation_runs (area, kind, last_day);
CREATE INDEX reconciliation_runs_made ON reconciliation_runs (rail, run_no) WHERE state = 'made';
COMMENT ON TABLE reconciliation_runs IS 'What was reported to a rail of an area, or is to be: good when all its messages are put.';
COMMENT ON COLUMN reconciliation_runs.accepted_kroner IS 'The sum of the amounts of their lines: a check sum, and not money.';

CREATE TABLE reconciliation_messages (
    run_no     bigint      NOT NULL REFERENCES reconciliation_runs,
    place      integer     NOT NULL,
    message_id uuid        NOT NULL UNIQUE,
    body       bytea       NOT NULL,
    state      text        NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sending', 'sent', 'unknown', 'dropped')),
    sender     text,
    sent_at    timestamptz,
    PRIMARY KEY (run_no, place)
);
CREATE INDEX reconciliation_messages_open ON reconciliation_messages (run_no, place) WHERE state IN ('ready', 'sending', 'unknown');
COMMENT ON TABLE reconciliation_messages IS 'The exact bytes of a run, in the order in which they leave.';

CREATE TABLE reconciled_orders (
    run_no     bigint NOT NULL REFERENCES reconciliation_runs,
    order_id   uuid   NOT NULL,
    bucket     text   NOT NULL CHECK (bucket IN ('accepted', 'warned', 'rejected', 'missing')),
    -- The receipt by which it is in that bucket.
    receipt_no bigint,
    -- The day whose key it left under when it was reported.
    key_day    date   NOT NULL,
    -- Why it is reported once more.
    cause      text   CHECK (cause IN ('late receipt', 'other day')),
    PRIMARY KEY (run_no, order_id)
);
CREATE INDEX reconciled_orders_of_order ON reconciled_orders (order_id);
COMMENT ON TABLE reconciled_orders IS 'Which order was reported in which run, and as what.';

ALTER TABLE orders ADD COLUMN key_day date;
COMMENT ON COLUMN orders.key_day IS 'The day whose reconciliation key it leaves under, where that is not the day on which it was made.';
CREATE INDEX orders_of_key_day ON orders (key_day) WHERE key_day IS NOT NULL;
-- A tree, whose newest entries lie together. Ranges of blocks (BRIN) would cost less, but PostgreSQL 18 was seen to pass by rows of such an
-- index after an update of its column, and an order that is passed by is not reported.
CREATE INDEX orders_of_day ON orders (day);

CREATE FUNCTION reconciliation_bucket(state text, severity text, warned_by text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE state WHEN 'accepted' THEN CASE WHEN severity = ANY (warned_by) THEN 'warned' ELSE 'accepted' END
                  WHEN 'rejected' THEN 'rejected' WHEN 'withdrawn' THEN 'withdrawn' ELSE 'missing' END;
COMMENT ON FUNCTION reconciliation_bucket IS 'Under what an order counts by its state and what the rail said of it.';

CREATE VIEW kvitt_views.reconciliations AS
SELECT n.run_no, n.run_id, n.rail, n.area, n.kind, n.form, n.first_day, n.last_day, n.first_key, n.last_key, n.trigger, n.made_by, n.reason,
       n.made_at, n.state, n.good_at, n.replaced_by, n.orders, n.messages, n.accepted, n.warned, n.rejected, n.missing, n.accepted_kroner,
       n.warned_kroner, n.rejected_kroner, n.missing_kroner,
       (SELECT count(*) FROM public.reconciliation_messages AS m WHERE m.run_no = n.run_no AND m.state = 'sent') AS messages_sent
FROM public.reconciliation_runs AS n;

CREATE VIEW kvitt_views.reconciled_orders AS
SELECT e.run_no, e.order_id, o.case_no, n.area, e.bucket, e.receipt_no, e.key_day, e.cause, o.state AS order_state,
       o.sum_kroner, n.state AS run_state
FROM public.reconciled_orders AS e
JOIN public.reconciliation_runs AS n ON n.run_no = e.run_no
JOIN public.orders AS o ON o.order_id = e.order_id;
