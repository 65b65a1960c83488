-- Requests over REST with a key by which their repeats are recognised.

CREATE SCHEMA rest;

CREATE TABLE rest.requests (
    subject      text        NOT NULL,
    key          text        NOT NULL,
    digest       bytea       NOT NULL,
    first_at     timestamptz NOT NULL,
    busy_until   timestamptz NOT NULL,
    tries        integer     NOT NULL DEFAULT 1,
    status       smallint,
    content_type text,
    body         bytea,
    PRIMARY KEY (subject, key)
);
COMMENT ON TABLE rest.requests IS 'Each request with an Idempotency-Key: what was asked, as a digest, and what was answered.';
COMMENT ON COLUMN rest.requests.subject IS 'the application and its user: keys of different callers are different';
COMMENT ON COLUMN rest.requests.busy_until IS 'until when it is left to the process that took it';
