-- name: lock_source_hours
-- Returns what sources had paid in an hour, and locks it for this transaction, in sorted order.
INSERT INTO source_hours AS h (source, hour, kroner)
SELECT w.source, w.hour, 0 FROM (SELECT s.source, %b::timestamptz AS hour FROM unnest(%b::text[]) AS s (source) ORDER BY 1 OFFSET 0) AS w
ON CONFLICT (source, hour) DO UPDATE SET kroner = h.kroner
RETURNING source, kroner;

-- name: source_hours
-- The same without locks, as far as anything was counted.
SELECT source, kroner FROM source_hours WHERE hour = %b::timestamptz AND source = ANY (%b::text[]);

-- name: limits_set
-- Limits that people have set, as `decode_limits` reads them.
SELECT json_agg(json_build_array(l.source, l.kroner_per_hour, l.kroner_per_order, l.until))::text FROM source_limits AS l;

-- name: limits_of_people
-- Limits that two people have set, also those that have ended.
SELECT source, kroner_per_order, kroner_per_hour, until, set_at, set_by, approved_by, reason FROM kvitt_views.source_limits ORDER BY source;

-- name: used_in_hour
-- What sources had paid in an hour, as far as it was counted.
SELECT source, kroner FROM kvitt_views.source_hours WHERE source = ANY (%(sources)s::text[]) AND hour = %(hour)s;

-- name: set_limit
-- Sets the limit of a source, in the place of the one that people had set before.
INSERT INTO source_limits (source, kroner_per_order, kroner_per_hour, until, set_at, set_by, approved_by, reason)
VALUES (%(source)s, %(per_order)s, %(per_hour)s, %(until)s, %(now)s, %(by)s, %(approved_by)s, %(reason)s)
ON CONFLICT (source) DO UPDATE
SET kroner_per_order = excluded.kroner_per_order, kroner_per_hour = excluded.kroner_per_hour, until = excluded.until,
    set_at = excluded.set_at, set_by = excluded.set_by, approved_by = excluded.approved_by, reason = excluded.reason;

-- name: clear_limit
-- Takes the limit away that people have set for a source; no row: there was none.
DELETE FROM source_limits WHERE source = %(source)s RETURNING source;
