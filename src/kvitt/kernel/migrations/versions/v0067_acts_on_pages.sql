-- Approvals know people whom an issuer knows; forms of the console act once.

ALTER TABLE approvals
    ADD COLUMN asked_issuer   text,
    ADD COLUMN asked_name     text,
    ADD COLUMN decided_issuer text,
    ADD COLUMN decided_name   text,
    ADD COLUMN first_effect   text;
COMMENT ON COLUMN approvals.asked_issuer IS 'who knows the one who asked by the name that stands in asked_by; NULL: nobody does, it was said on a command line';
COMMENT ON COLUMN approvals.asked_name IS 'what people call the one who asked, where an issuer says so';
COMMENT ON COLUMN approvals.first_effect IS 'what it would do as it was shown when it was asked for, where that has changed since';
CREATE INDEX approvals_asked_by ON approvals (asked_issuer, asked_by, asked_at);
CREATE INDEX approvals_decided_by ON approvals (decided_issuer, decided_by, decided_at);

CREATE OR REPLACE VIEW kvitt_views.approvals AS
SELECT a.approval_no, a.act, a.subject, a.asked_by, a.reason, a.effect, a.asked_at, a.lapses_at, a.state, a.decided_at, a.decided_by,
       a.decided_because, a.outcome, a.asked_issuer, a.asked_name, a.decided_issuer, a.decided_name
FROM public.approvals AS a;

CREATE TABLE console.done_forms (
    session_hash bytea       NOT NULL,
    -- Of the form and the page that showed it.
    form_hash    bytea       NOT NULL,
    done_at      timestamptz NOT NULL,
    answer       text,
    PRIMARY KEY (session_hash, form_hash)
);
COMMENT ON TABLE console.done_forms IS 'Forms by which somebody has acted, so that a second click leads to what the first one did.';
