-- name: take_turn
-- Waits until no other process migrates this database; held until the connection ends. The number spells k-v-i-t-t.
SELECT pg_advisory_lock(x'6b76697474'::bigint);

-- name: find_table
-- The table in which the migration tool keeps the number of the last migration, or NULL where there is none yet.
SELECT to_regclass('migrations')::text;

-- name: applied
-- The number of the last migration that was applied.
SELECT version_num FROM migrations;
