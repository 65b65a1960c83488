-- name: bind_source
-- Notes that the database belongs to this log, if it belonged to none; waits for who binds it at the same time.
INSERT INTO source (log) VALUES (%s) ON CONFLICT (only_row) DO NOTHING;

-- name: source
-- The log that the database belongs to: asked after that, for what a statement waited for it does not see itself.
SELECT log FROM source;
