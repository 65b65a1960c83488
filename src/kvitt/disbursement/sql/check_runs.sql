-- name: note_check
-- Notes how a check ended, by the database's clock.
INSERT INTO check_runs (began_at, ended_at, version, looked_at, by_kind, differences, found)
VALUES (least(%(began_at)s, now()), now(), %(version)s, %(looked_at)s::jsonb, %(by_kind)s::jsonb, %(differences)s, %(found)s::text[]);
