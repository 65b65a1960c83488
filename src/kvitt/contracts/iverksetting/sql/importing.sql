-- The tables of the older system in which decisions and their results are. Rows come as JSON, so that it matters neither which columns
-- there are besides nor how their names are written; sorted by the case's id, letter by letter.

-- name: decisions
-- Every decision, by the case that its data names.
SELECT f.case_id, f.body
FROM (
    SELECT coalesce(t.data -> 'fagsak' ->> 'fagsakId', t.data ->> 'sakId', t.data ->> 'saksreferanse', '') AS case_id, to_json(t)::text AS body
    FROM iverksetting AS t
) AS f
ORDER BY f.case_id COLLATE "C";

-- name: results
-- Every result of a decision.
SELECT f.case_id, f.body::text AS body
FROM (
    SELECT coalesce(j.body ->> 'sakid', j.body ->> 'sakId', j.body ->> 'sak_id', '') AS case_id, j.body
    FROM iverksettingsresultat AS t
    CROSS JOIN LATERAL (SELECT to_json(t) AS body OFFSET 0) AS j
) AS f
ORDER BY f.case_id COLLATE "C";
