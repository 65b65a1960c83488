-- The reads of decisions that came in by calls, for people.

-- name: list_decisions
-- Decisions of a case, newest first, or one by its number: as they came in, what was done at once, and how far each has come.
SELECT v.message_no, v.scheme, v.case_id, v.contract, v.operation, v.application, v.caseworker, v.by_approver, v.outcome, v.state,
       v.refused_status, v.refused_text, v.received_at, v.answered_at, m.source, m.partition, m.position, m.key, m.body, m.headers, m.edition
FROM kvitt_views.decisions AS v
JOIN messages AS m ON m.message_no = v.message_no
WHERE v.message_no IN (
    SELECT d.message_no FROM decisions AS d
    JOIN cases AS c ON c.case_no = d.case_no
    WHERE c.scheme = %(scheme)s AND c.case_id = %(case_id)s AND (d.outcome IN ('ordered', 'unchanged') OR NOT %(received)s::boolean)
    UNION ALL
    SELECT %(message_no)s::bigint
)
ORDER BY v.message_no DESC
LIMIT %(limit)s;

-- name: orders_of_decisions
-- The orders that were made for messages, in the order in which they were made.
SELECT o.message_no, o.order_id::text, o.number, o.area, o.state FROM orders AS o WHERE o.message_no = ANY(%(messages)s::bigint[]) ORDER BY o.number;

-- name: terms_of_case
-- Whose a case is, and its frame.
SELECT c.contract, c.frame_start, c.cap_kroner FROM kvitt_views.cases AS c WHERE c.scheme = %(scheme)s AND c.case_id = %(case_id)s;
