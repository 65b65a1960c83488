-- Payouts: each with its cash flow and the events that were told of it, and what is under way at a ledger that is not ours.
-- Cash flows and events are facts: they are only ever added.

CREATE SCHEMA payouts;

CREATE TABLE payouts.payouts (
    payout_id        text        PRIMARY KEY CHECK (length(payout_id) <= 57),
    sequence         integer     NOT NULL CHECK (sequence >= 0),
    created_at       timestamptz NOT NULL,
    party_id         text        NOT NULL,
    shop_id          text        NOT NULL,
    status           text        NOT NULL CHECK (status IN ('unpaid', 'paid', 'confirmed', 'cancelled')),
    cancel_details   text,
    payout_tool_id   text        NOT NULL,
    amount           bigint      NOT NULL CHECK (amount > 0),
    fee              bigint      NOT NULL,
    currency         text        NOT NULL,
    ledger           text        NOT NULL CHECK (ledger IN ('own', 'remote')),
    plan_id          text        NOT NULL CHECK (length(plan_id) <= 64),
    reversal_plan_id text        CHECK (length(reversal_plan_id) <= 64),
    republished      integer     NOT NULL DEFAULT 0 CHECK (republished >= 0),
    head             bytea       NOT NULL,
    CHECK ((status = 'cancelled') = (cancel_details IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX payouts_by_time ON payouts.payouts (created_at, payout_id);
CREATE INDEX payouts_of_party ON payouts.payouts (party_id, created_at, payout_id);
CREATE INDEX payouts_by_status ON payouts.payouts (status, created_at, payout_id);
COMMENT ON TABLE payouts.payouts IS 'One row per payout as it stands; every change of status is an event too.';
COMMENT ON COLUMN payouts.payouts.sequence IS '0 when created; grows by one with each change of status; the number of the last event';
COMMENT ON COLUMN payouts.payouts.ledger IS 'whose ledger has the plans of this payout: our own, or one that is called';
COMMENT ON COLUMN payouts.payouts.republished IS 'how often an operator had its events told again';
COMMENT ON COLUMN payouts.payouts.head IS 'the hash of its last event';

CREATE TABLE payouts.cash_flow (
    payout_id   text    NOT NULL,
    position    integer NOT NULL,
    source_type text    NOT NULL,
    source      bigint  NOT NULL,
    target_type text    NOT NULL,
    target      bigint  NOT NULL,
    amount      bigint  NOT NULL CHECK (amount >= 0),
    currency    text    NOT NULL,
    details     text,
    PRIMARY KEY (payout_id, position)
);
COMMENT ON TABLE payouts.cash_flow IS 'The movements of each payout, in the order in which they were computed.';

CREATE TABLE payouts.events (
    payout_id text        NOT NULL,
    sequence  integer     NOT NULL,
    at        timestamptz NOT NULL,
    status    text        NOT NULL,
    body      bytea       NOT NULL,
    hash      bytea       NOT NULL,
    PRIMARY KEY (payout_id, sequence)
);
COMMENT ON TABLE payouts.events IS 'What was told of each payout, as the bytes that were told, each hashed with the one before.';

CREATE TABLE payouts.intents (
    payout_id   text        NOT NULL,
    number      integer     NOT NULL,
    action      text        NOT NULL CHECK (action IN ('create', 'confirm', 'cancel', 'reverse')),
    plan_id     text        NOT NULL,
    content     bytea       NOT NULL,
    state       text        NOT NULL CHECK (state IN ('forward', 'back', 'done', 'undone')),
    held        boolean     NOT NULL DEFAULT false,
    made_at     timestamptz NOT NULL,
    closed_at   timestamptz,
    reason      text,
    epoch       integer     NOT NULL DEFAULT 1,
    busy_until  timestamptz NOT NULL,
    tries       integer     NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL,
    PRIMARY KEY (payout_id, number),
    CHECK ((closed_at IS NULL) = (state IN ('forward', 'back')))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE UNIQUE INDEX intents_open ON payouts.intents (payout_id) WHERE state IN ('forward', 'back');
CREATE INDEX intents_due ON payouts.intents (next_try_at) WHERE state IN ('forward', 'back');
COMMENT ON TABLE payouts.intents IS 'What is to be done at a ledger that is not ours: a row before the first call, closed when the outcome is known.';
COMMENT ON COLUMN payouts.intents.state IS 'forward: to be done; back: to be undone, so that nothing stays held; done and undone are final';
COMMENT ON COLUMN payouts.intents.held IS 'the plan of a reversal is held for certain: from here on it is committed, and never held again';
COMMENT ON COLUMN payouts.intents.epoch IS 'grows with each owner; a write under an old one changes nothing';
COMMENT ON COLUMN payouts.intents.content IS 'what the payout shall be, for a create; why, for a cancel';

CREATE FUNCTION payouts.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payouts.cash_flow FOR EACH STATEMENT EXECUTE FUNCTION payouts.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payouts.events FOR EACH STATEMENT EXECUTE FUNCTION payouts.refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON payouts.cash_flow, payouts.events FROM PUBLIC;
