-- name: lock_source_hours
-- Returns what sources had paid in an hour, and locks it for this transaction, in sorted order.
INSERT INTO source_hours AS h (source, hour, kroner)
SELECT w.source, w.hour, 0 FROM (SELECT s.source, %b::timestamptz AS hour FROM unnest(%b::text[]) AS s (source) ORDER BY 1 OFFSET 0) AS w
ON CONFLICT (source, hour) DO UPDATE SET kroner = h.kroner
RETURNING source, kroner;
