-- name: fill_in_opened_for
-- Gives the next cases the person of their newest order as the one whom they were opened for.
WITH span AS (
    SELECT case_no FROM cases WHERE case_no > coalesce(%(after)s::text, '0')::bigint ORDER BY case_no LIMIT %(batch)s
), filled AS (
    UPDATE cases AS c
    SET opened_for = (SELECT o.person FROM orders AS o WHERE o.case_no = c.case_no ORDER BY o.number DESC LIMIT 1)
    FROM span
    WHERE c.case_no = span.case_no AND c.opened_for IS NULL
    RETURNING c.case_no
)
SELECT (SELECT max(case_no)::text FROM span) AS after, (SELECT count(*) FROM filled)::integer AS rows;
