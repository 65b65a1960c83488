-- name: hours
-- What sources had paid in the hours before this one since a moment.
SELECT source, hour, kroner FROM kvitt_views.source_hours
WHERE source = ANY (%(sources)s::text[]) AND hour >= %(since)s AND hour < %(hour)s ORDER BY source, hour DESC LIMIT %(limit)s;
