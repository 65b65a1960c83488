-- name: open_by_area
-- Orders that are with nobody's answer yet, of each rail, area and state, counted up to a bound.
SELECT o.rail, o.area, o.state, count(*)::integer AS orders, sum(o.sum_kroner)::bigint AS sum_kroner, min(o.made_at) AS oldest
FROM (
    SELECT x.rail, x.area, x.state, x.sum_kroner, x.made_at
    FROM (VALUES ('ready'), ('sending'), ('sent'), ('unknown')) AS s (state)
    CROSS JOIN LATERAL (
        SELECT v.rail, v.area, v.state, v.sum_kroner, v.made_at
        FROM kvitt_views.orders AS v
        WHERE v.state = s.state AND v.state IN ('ready', 'sending', 'sent', 'unknown')
        LIMIT %(limit)s
    ) AS x
) AS o
GROUP BY o.rail, o.area, o.state
ORDER BY o.rail, o.area, o.state;
