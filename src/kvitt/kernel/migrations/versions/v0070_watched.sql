-- What the pages of health, jobs and roles tell of the installation itself.

CREATE TABLE lease_owners (
    lease         text        NOT NULL,
    fencing_token bigint      NOT NULL,
    owner         text        NOT NULL,
    since         timestamptz NOT NULL,
    PRIMARY KEY (lease, fencing_token)
);
CREATE INDEX lease_owners_since ON lease_owners (since);
COMMENT ON TABLE lease_owners IS 'Each owner that a lease had, with its fencing token and since when: a new one is a process that was started, or went on for another.';
INSERT INTO lease_owners (lease, fencing_token, owner, since) SELECT lease, fencing_token, owner, now() FROM leases WHERE until > now();

CREATE TABLE check_runs (
    run_no      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at    timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    version     text        NOT NULL,
    -- Rows looked at, and differences, by kind.
    looked_at   jsonb       NOT NULL,
    by_kind     jsonb       NOT NULL,
    differences bigint      NOT NULL CHECK (differences >= 0),
    -- The first of them in words, without personal data.
    found       text[]      NOT NULL,
    CHECK (ended_at >= began_at)
);
COMMENT ON TABLE check_runs IS 'Each check of the whole store: when, by which version, how much was looked at, and what differed.';

CREATE OR REPLACE VIEW kvitt_views.leases AS
SELECT l.lease, l.owner, l.fencing_token, CASE WHEN isfinite(l.until) THEN l.until END AS until, l.until > now() AS is_held, l.position, o.since
FROM public.leases AS l LEFT JOIN public.lease_owners AS o ON o.lease = l.lease AND o.fencing_token = l.fencing_token;

CREATE VIEW kvitt_views.lease_owners AS
SELECT o.lease, o.fencing_token, o.owner, o.since FROM public.lease_owners AS o;

CREATE VIEW kvitt_views.check_runs AS
SELECT r.run_no, r.began_at, r.ended_at, r.version, r.looked_at, r.by_kind, r.differences, r.found FROM public.check_runs AS r;
