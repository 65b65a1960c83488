-- name: stops
-- Where sending is stopped.
SELECT rail, area, reason, stopped_by, stopped_at FROM kvitt_views.stops ORDER BY rail, area;

-- name: open_sums
-- Orders that are with nobody's answer yet, of each rail and state those that came first, up to a bound: by area, and by how long they have waited, on the
-- clock and in hours in which the rail is open. An age is the number of limits that it is beyond, from the oldest on.
SELECT o.rail, o.area, o.state, o.is_free, width_bucket(o.since, %(clock)s::timestamptz[]) AS clock_age,
       width_bucket(o.since, ARRAY[h.day, h.four_hours, h.hour]) AS open_age, count(*)::integer AS orders,
       sum(o.sum_kroner)::bigint AS sum_kroner, min(o.since) AS oldest
FROM unnest(%(rails)s::text[], %(day)s::timestamptz[], %(four_hours)s::timestamptz[], %(hour)s::timestamptz[])
     AS h (rail, day, four_hours, hour)
CROSS JOIN (VALUES ('ready'), ('sending'), ('sent'), ('unknown')) AS s (state)
CROSS JOIN LATERAL (
    SELECT v.rail, v.area, v.state, v.is_free, v.since, v.sum_kroner
    FROM kvitt_views.open_sums AS v
    WHERE v.rail = h.rail AND v.state = s.state
    ORDER BY v.message_no
    LIMIT %(limit)s
) AS o
GROUP BY o.rail, o.area, o.state, o.is_free, clock_age, open_age
ORDER BY o.rail, o.area, o.state;
