-- The migrations' own bookkeeping.

-- name: take_turn
-- Waits until no other process migrates this database; ends with the transaction. The number spells k-v-i-t-t.
SELECT pg_advisory_xact_lock(x'6b76697474'::bigint)

-- name: create_table
-- The table of applied migrations, in a database that has none.
CREATE TABLE IF NOT EXISTS applied_migration (
    package    text NOT NULL,
    name       text NOT NULL,
    digest     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package, name)
)

-- name: find_table
-- The table of applied migrations, or NULL where there is none yet.
SELECT to_regclass('applied_migration')::text

-- name: list_applied
-- Name and digest of every migration of one package that is applied.
SELECT name, digest FROM applied_migration WHERE package = %s

-- name: mark_applied
-- Notes that a migration of a package was applied, with the digest of its text.
INSERT INTO applied_migration (package, name, digest) VALUES (%s, %s, %s)
