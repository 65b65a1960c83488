-- name: own_cases
-- Gives cases to the contract whose messages opened them, or from whose hub they were taken over, in a span of cases after a number;
-- gives the last number of the span, NULL behind the end, and how many cases there were.
WITH span AS (
    SELECT max(case_no) AS last FROM (
        SELECT case_no FROM cases WHERE case_no > coalesce(%(after)s::bigint, 0) ORDER BY case_no LIMIT %(batch)s
    ) AS s
), owned AS (
    UPDATE cases AS c SET contract = CASE c.scheme WHEN 'SYKEPENGER' THEN 'rapid' ELSE 'helved' END
    FROM span
    WHERE c.case_no > coalesce(%(after)s::bigint, 0) AND c.case_no <= span.last AND c.contract IS NULL AND (
        c.orders_made > 0
        OR EXISTS (SELECT FROM audit AS a WHERE a.chain = c.case_no AND a.seq = 1 AND a.what IN ('imported', 'left out'))
    )
    RETURNING c.case_no
)
SELECT last::text AS after, (SELECT count(*) FROM owned) AS rows FROM span;
