-- name: claim_source
-- The log that the database belongs to; the given one if it belonged to none.
WITH claimed AS (INSERT INTO source (log) VALUES (%s) ON CONFLICT (only_row) DO NOTHING RETURNING log)
SELECT log FROM claimed UNION ALL SELECT log FROM source LIMIT 1;
