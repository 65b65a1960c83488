-- Acts that one person asks for and another one confirms, with what they were shown to do.

CREATE TABLE approvals (
    approval_no     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    act             text        NOT NULL,
    arguments       text        NOT NULL,
    subject         text        NOT NULL,
    asked_by        text        NOT NULL,
    reason          text        NOT NULL,
    effect          text        NOT NULL,
    basis           bytea       NOT NULL,
    asked_at        timestamptz NOT NULL,
    lapses_at       timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'confirmed', 'refused', 'lapsed', 'failed')),
    changed_at      timestamptz,
    decided_at      timestamptz,
    decided_by      text,
    decided_because text,
    outcome         text,
    entries         bigint,
    CHECK ((state = 'asked') = (decided_at IS NULL)),
    CHECK ((decided_at IS NULL) = (decided_by IS NULL)),
    CHECK ((state = 'confirmed') = (entries IS NOT NULL))
);
CREATE INDEX approvals_open ON approvals (lapses_at) WHERE state = 'asked';
COMMENT ON TABLE approvals IS 'Acts that one person asks for and another one confirms; confirming does the act in the same transaction.';
COMMENT ON COLUMN approvals.arguments IS 'what the act is asked for with, as JSON';
COMMENT ON COLUMN approvals.effect IS 'what it would do, as it was shown last';
COMMENT ON COLUMN approvals.basis IS 'the digest of what the effect was worked out from; another one has to be confirmed anew';
COMMENT ON COLUMN approvals.entries IS 'how many entries of the operators'' chain its act has made';
