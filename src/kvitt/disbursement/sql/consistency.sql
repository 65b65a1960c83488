-- name: cases_after
-- The next cases, in the order in which they became known, that the rail knows in an area.
SELECT case_no FROM cases WHERE scheme = %(scheme)s AND case_no > %(after)s AND %(area)s = ANY (areas) ORDER BY case_no LIMIT %(limit)s;

-- name: active_lines
-- The lines of cases in an area that are in force on a day or behind it, as they were sent, oldest first in each case. On each day of a chain
-- one line holds: a new line ends its chain on its first day, a cessation from its date on. So a line holds until the first of the days on
-- which a later line of its chain begins, or from which a later cessation ends it. Only orders count that were accepted by a moment.
-- A reference names the chain of the line that it refers to; a line that is not known here (of a hub before) names a chain as well.
WITH RECURSIVE accepted AS MATERIALIZED (
    SELECT o.case_no, o.person, row_number() OVER (PARTITION BY o.case_no ORDER BY o.number, l.position) AS step, l.line_id, l.refers_to,
           l.class_code, l.start_on, l.end_on, l.amount, l.ceased_from, l.decision_id, l.forwarded, l.rate_type, l.decided_on, l.caseworker,
           l.approver, l.recipient, l.office, l.grade
    FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
    WHERE o.case_no = ANY (%(cases)s::bigint[]) AND o.rail = %(rail)s AND o.area = %(area)s AND o.state = 'accepted' AND o.settled_at <= %(at)s
), made AS MATERIALIZED (
    SELECT DISTINCT ON (case_no, line_id) case_no, line_id, refers_to, step FROM accepted WHERE ceased_from IS NULL
    ORDER BY case_no, line_id, step
), chained AS (
    SELECT m.case_no, m.line_id, m.step, coalesce(m.refers_to, m.line_id) AS chain
    FROM made AS m LEFT JOIN made AS b ON b.case_no = m.case_no AND b.line_id = m.refers_to AND b.step < m.step
    WHERE b.line_id IS NULL
    UNION ALL
    SELECT m.case_no, m.line_id, m.step, c.chain
    FROM chained AS c JOIN made AS m ON m.case_no = c.case_no AND m.refers_to = c.line_id AND m.step > c.step
), held AS (
    SELECT a.*, min(coalesce(a.ceased_from, a.start_on)) OVER (
               PARTITION BY a.case_no, coalesce(c.chain, a.line_id) ORDER BY a.step ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
           ) AS ended_from
    FROM accepted AS a LEFT JOIN chained AS c ON c.case_no = a.case_no AND c.line_id = a.line_id
    WHERE a.ceased_from IS NOT NULL OR c.step = a.step
)
SELECT h.case_no, c.case_id, h.person, h.office, h.line_id, h.refers_to, h.class_code, h.start_on AS start, h.end_on AS "end", h.amount,
       h.rate_type, h.decided_on, h.caseworker, h.approver, h.recipient, h.decision_id, h.grade,
       CASE WHEN h.forwarded THEN substring(h.line_id FROM '#([0-9]+)$')::bigint END AS own_number,
       CASE WHEN h.forwarded THEN substring(h.refers_to FROM '#([0-9]+)$')::bigint END AS own_reference
FROM held AS h JOIN cases AS c ON c.case_no = h.case_no
WHERE h.ceased_from IS NULL AND greatest(h.start_on, %(day)s) <= least(h.end_on, h.ended_from - 1)
ORDER BY h.case_no, h.step;
