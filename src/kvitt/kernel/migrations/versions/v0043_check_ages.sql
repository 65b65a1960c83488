-- What the rail said of an order before it leaves holds for some time only; and a question that the rail may be at work on still keeps the
-- orders of its case.

-- Until when an order leaves by what the rail said of it; NULL: it leaves whenever it can.
ALTER TABLE orders ADD COLUMN leaves_before timestamptz;
CREATE INDEX orders_leaving_by_a_check ON orders (leaves_before) WHERE state = 'ready' AND leaves_before IS NOT NULL;

-- By which rules it was compared: by the first, what could not be compared was no difference.
ALTER TABLE order_checks ADD COLUMN compared_by smallint NOT NULL DEFAULT 1;
ALTER TABLE order_checks DROP CONSTRAINT order_checks_finding_check;
ALTER TABLE order_checks ADD CONSTRAINT order_checks_finding_check
    CHECK (finding IN ('agrees', 'differs', 'not_compared', 'refused', 'unavailable', 'skipped'));

-- What was found of an order before it was asked about once more.
CREATE TABLE earlier_order_checks (
    order_id    uuid        NOT NULL,
    -- Which request of the order it was.
    times_asked integer     NOT NULL,
    ended_at    timestamptz NOT NULL,
    finding     text        NOT NULL,
    request_no  bigint      NOT NULL,
    checked_on  date        NOT NULL,
    posted      boolean     NOT NULL,
    compared_by smallint    NOT NULL,
    recovered   bigint,
    differences jsonb,
    picture     jsonb,
    note        text,
    PRIMARY KEY (order_id, times_asked)
);
COMMENT ON TABLE earlier_order_checks IS 'What was found of orders that waited so long that the rail was asked once more.';

-- The rail was asked, and nobody knows whether it has ended with it; until then no order of the case leaves.
ALTER TABLE simulation_requests ADD COLUMN at_work_until timestamptz;
CREATE INDEX simulation_requests_at_work ON simulation_requests (case_no) WHERE state = 'asked' OR at_work_until IS NOT NULL;
