-- A case may move from one contract to another: its chains go on under other payment ids.

CREATE TABLE moved_payments (
    case_no    bigint      NOT NULL,
    payment_id uuid        NOT NULL,
    moved_to   uuid        NOT NULL,
    contract   text        NOT NULL,
    -- The number, among those of the case's orders, under which the moved version stands.
    version    integer     NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (case_no, version, payment_id)
);
COMMENT ON TABLE moved_payments IS 'Payments that go on under another id since their case was moved to another contract.';
