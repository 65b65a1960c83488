-- The local directory: parties with their shops, contracts and terms, for an installation without PartyManagement.

CREATE SCHEMA parties;

CREATE TABLE parties.parties (
    party_id   text        PRIMARY KEY,
    revision   bigint      NOT NULL CHECK (revision >= 1),
    loaded_at  timestamptz NOT NULL,
    document   bytea       NOT NULL
);
COMMENT ON TABLE parties.parties IS 'Each party as it was loaded last, with every account filled in.';
COMMENT ON COLUMN parties.parties.document IS 'JSON in the form of the file';

CREATE TABLE parties.house (
    currency   text        PRIMARY KEY,
    loaded_at  timestamptz NOT NULL,
    document   bytea       NOT NULL
);
COMMENT ON TABLE parties.house IS 'The accounts in each currency that no shop has: provider, system and external ones.';
