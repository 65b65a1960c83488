-- name: attention
-- What needs a person, most money first, then what has waited longest.
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by
FROM kvitt_views.attention
ORDER BY sum_kroner DESC NULLS LAST, since
LIMIT %(limit)s;

-- name: stops
-- Where sending is stopped.
SELECT rail, area, reason, stopped_by, stopped_at FROM kvitt_views.stops ORDER BY rail, area;
