-- The table of the older system in which single payments are. Rows come as JSON, so that it does not matter which columns there are
-- besides; sorted by the case's id, letter by letter.

-- name: payments
-- Every version of every payment.
SELECT f.case_id, f.body
FROM (SELECT coalesce(t.sak_id, '') AS case_id, to_json(t)::text AS body FROM utbetaling AS t) AS f
ORDER BY f.case_id COLLATE "C";
