-- name: cases_after
-- The next cases, in the order in which they became known, that the rail knows in an area.
SELECT case_no FROM cases WHERE scheme = %(scheme)s AND case_no > %(after)s AND %(area)s = ANY (areas) ORDER BY case_no LIMIT %(limit)s;

-- name: active_lines
-- The lines of cases in an area that are in force on a day or behind it, as they were sent, oldest first in each case. On each day of a chain
-- one line holds: a new line ends its chain on its first day, a cessation from its date on. So a line holds until the first of the days on
-- which a later line of its chain begins, or from which a later cessation ends it. Only orders count that were accepted by a moment,
-- and were not open when the run began.
-- A reference names the chain of the line that it refers to; a line that is not known here (of a hub before) names a chain as well.
WITH RECURSIVE accepted AS MATERIALIZED (
    SELECT o.case_no, o.person, row_number() OVER (PARTITION BY o.case_no ORDER BY o.number, l.position) AS step, l.line_id, l.refers_to,
           l.class_code, l.start_on, l.end_on, l.amount, l.ceased_from, l.decision_id, l.forwarded, l.rate_type, l.decided_on, l.caseworker,
           l.approver, l.recipient, l.office, l.grade
    FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
    WHERE o.case_no = ANY (%(cases)s::bigint[]) AND o.rail = %(rail)s AND o.area = %(area)s AND o.state = 'accepted' AND o.settled_at <= %(at)s
      AND NOT EXISTS (
          SELECT FROM reconciliation_remarks AS r
          WHERE r.run_no = %(run_no)s AND r.case_no = o.case_no AND r.order_id = o.order_id AND r.remark = 'open order'
      )
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

-- name: lines_run_of_day
-- The run about lines in force on a day that counts, if an area has one; callers' own runs are others.
SELECT run_no FROM reconciliation_runs
WHERE rail = %(rail)s AND area = %(area)s AND kind = 'consistency' AND first_day = %(day)s
  AND state NOT IN ('replaced', 'dropped') AND trigger <> 'call';

-- name: add_lines_run
-- Begins a run about lines in force.
INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, last_at, trigger, made_by, reason, made_at, state)
VALUES (%(run_id)s, %(rail)s, %(area)s, 'consistency', %(form)s, %(day)s, %(day)s, %(at)s, %(trigger)s, %(made_by)s, %(reason)s, %(made_at)s,
        'making')
RETURNING run_no;

-- name: add_remarks
-- Notes the cases of which the rail may have other lines in force than a run reports: an order of theirs was on its way at the moment that
-- counts, what holds is contradicted, or a hub before this one made lines that are not known here.
INSERT INTO reconciliation_remarks (run_no, case_no, remark, order_id)
SELECT %(run_no)s, o.case_no, 'open order', o.order_id FROM orders AS o
WHERE o.rail = %(rail)s AND o.area = %(area)s AND o.made_at <= %(at)s
  AND (o.state IN ('ready', 'sending', 'sent', 'unknown') OR (o.state IN ('accepted', 'rejected') AND o.settled_at > %(at)s))
UNION
SELECT %(run_no)s, k.case_no, 'contradicted', o.order_id FROM contradictions AS k JOIN orders AS o ON o.order_id = k.order_id
WHERE k.resolved_at IS NULL AND o.rail = %(rail)s AND o.area = %(area)s
UNION
SELECT %(run_no)s, p.case_no, 'taken over', NULL::uuid
FROM payments AS p JOIN payments AS n ON n.case_no = p.case_no AND n.payment_id = p.payment_id AND n.state = 'accepted' AND NOT n.superseded
WHERE p.version = 0 AND p.area = %(area)s AND n.action <> 'DELETE'
UNION
SELECT %(run_no)s, c.case_no, 'taken over', NULL::uuid FROM cases AS c
WHERE c.scheme = %(scheme)s AND c.unknown <> '{}' AND (c.areas = '{}' OR %(area)s = ANY (c.areas));

-- name: lines_run
-- One run about lines in force, with Oslo's local time of the last order that may count.
SELECT run_no, run_id::text, rail, area, form, first_day AS day, last_at AS at, trigger, made_by, reason, made_at, state, good_at, replaced_by,
       cases, lines, kroner::bigint, messages, last_case
FROM reconciliation_runs WHERE run_no = %(run_no)s AND kind = 'consistency';

-- name: lock_lines_run
-- The same, locked, so that nobody else makes the next part of it.
SELECT run_no, run_id::text, rail, area, form, first_day AS day, last_at AS at, trigger, made_by, reason, made_at, state, good_at, replaced_by,
       cases, lines, kroner::bigint, messages, last_case
FROM reconciliation_runs WHERE run_no = %(run_no)s AND kind = 'consistency' FOR UPDATE;

-- name: lines_runs
-- Runs about lines in force, newest first.
SELECT run_no, run_id::text, rail, area, form, first_day AS day, last_at AS at, trigger, made_by, reason, made_at, state, good_at, replaced_by,
       cases, lines, kroner::bigint, messages, last_case
FROM reconciliation_runs
WHERE kind = 'consistency' AND (%(area)s::text IS NULL OR area = %(area)s)
ORDER BY run_no DESC
LIMIT %(limit)s;

-- name: step_lines_run
-- A part of a run is made.
UPDATE reconciliation_runs
SET cases = cases + %(cases)s, lines = lines + %(lines)s, kroner = kroner + %(kroner)s, messages = %(messages)s, last_case = %(last_case)s,
    state = CASE WHEN %(ends)s THEN 'made' ELSE state END
WHERE run_no = %(run_no)s;

-- name: drop_run
-- A run that is not whole is given up.
UPDATE reconciliation_runs SET state = 'dropped' WHERE run_no = %(run_no)s;

-- name: remarks_of_run
-- The cases of which the rail may have other lines in force than a run reports, with the reason.
SELECT c.scheme, c.case_id, r.remark
FROM (SELECT DISTINCT case_no, remark FROM reconciliation_remarks WHERE run_no = %(run_no)s) AS r JOIN cases AS c ON c.case_no = r.case_no
ORDER BY r.case_no, r.remark LIMIT %(limit)s;

-- name: adopted_since
-- Whether an order of an area that had been accepted counts as rejected since a moment, by the word of two people.
SELECT EXISTS (
    SELECT FROM contradictions AS k JOIN orders AS o ON o.order_id = k.order_id
    WHERE k.resolution = 'adopted' AND k.resolved_at > %(at)s AND o.rail = %(rail)s AND o.area = %(area)s
);

-- name: lines_run_of_id
-- The run about lines in force with an id, locked.
SELECT run_no FROM reconciliation_runs WHERE run_id = %(run_id)s AND kind = 'consistency' FOR UPDATE;

-- name: has_part
-- Whether a run has this batch already.
SELECT EXISTS (SELECT FROM reconciliation_parts WHERE run_no = %(run_no)s AND digest = %(digest)s);

-- name: add_part
-- Keeps a batch of a run, by what was said in it.
INSERT INTO reconciliation_parts (run_no, part, digest, cases, kroner, made_by, made_at)
SELECT %(run_no)s, count(*) + 1, %(digest)s, %(cases)s, %(kroner)s, %(made_by)s, %(made_at)s
FROM reconciliation_parts WHERE run_no = %(run_no)s;

-- name: lines_of_decisions
-- The lines of accepted orders that decisions made, oldest first in each case; the number of a line is what stands behind the # of its id.
SELECT o.case_no, c.case_id, substring(l.line_id FROM '#([0-9]+)$')::bigint AS number, l.line_id, l.refers_to, l.class_code, l.start_on AS start,
       l.end_on AS "end", l.amount, l.rate_type, l.decided_on, l.caseworker, l.approver, l.recipient, l.decision_id, l.grade,
       CASE WHEN l.forwarded THEN substring(l.line_id FROM '#([0-9]+)$')::bigint END AS own_number,
       CASE WHEN l.forwarded THEN substring(l.refers_to FROM '#([0-9]+)$')::bigint END AS own_reference
FROM order_lines AS l
JOIN orders AS o ON o.order_id = l.order_id
JOIN cases AS c ON c.case_no = o.case_no
WHERE l.decision_id = ANY (%(decisions)s::text[]) AND o.rail = %(rail)s AND o.area = %(area)s AND o.state = 'accepted'
ORDER BY o.case_no, o.number, l.position;
