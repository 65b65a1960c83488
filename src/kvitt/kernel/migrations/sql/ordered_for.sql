-- name: fill_in_persons
-- Gives the next cases the person of their newest order, or, without orders, the one that the rail knows them by.
WITH span AS (
    SELECT case_no FROM cases WHERE case_no > coalesce(%(after)s::text, '0')::bigint ORDER BY case_no LIMIT %(batch)s
), filled AS (
    UPDATE cases AS c
    SET ordered_for = coalesce((SELECT o.person FROM orders AS o WHERE o.case_no = c.case_no ORDER BY o.number DESC LIMIT 1), c.person)
    FROM span
    WHERE c.case_no = span.case_no AND c.ordered_for IS NULL
    RETURNING c.case_no
)
SELECT (SELECT max(case_no)::text FROM span) AS after, (SELECT count(*) FROM filled)::integer AS rows;
