-- name: take_turn
-- Waits until no other process migrates this database; held until the connection ends. The number spells k-v-i-t-t.
SELECT pg_advisory_lock(x'6b76697474'::bigint);

-- name: find_table
-- The table in which the migration tool keeps the number of the last migration, or NULL where there is none yet.
SELECT to_regclass('migrations')::text;

-- name: applied
-- The number of the last migration that was applied.
SELECT version_num FROM migrations;

-- name: find_backfills
-- The table that says what is left to be filled in, or NULL where there is none yet.
SELECT to_regclass('backfills')::text;

-- name: plan_backfill
-- Notes that something is to be filled in behind a migration.
INSERT INTO backfills (name, migration) VALUES (%s, %s);

-- name: unfilled
-- What is left to be filled in, in order, and behind which migration.
SELECT name, migration FROM backfills WHERE done_at IS NULL ORDER BY place;

-- name: filled_up_to
-- The place up to which a back-fill has come, and how many rows it has changed; locked.
SELECT after, rows FROM backfills WHERE name = %s FOR UPDATE;

-- name: move_backfill
-- Notes that a batch was filled in.
UPDATE backfills SET after = %s, rows = rows + %s WHERE name = %s;

-- name: end_backfill
-- Notes that all is filled in.
UPDATE backfills SET done_at = now() WHERE name = %s;
