-- name: simulations
-- Simulations before a place, newest first, of so many that are looked through; the last of these is there in any case.
WITH looked AS (
    SELECT s.request_no, s.asker, s.contract, s.case_no, s.scheme, s.case_id, s.rail, s.state, s.requested_at, s.ended_at, s.reason,
           row_number() OVER (ORDER BY s.request_no DESC) = %(looked_through)s AS is_end
    FROM kvitt_views.simulations AS s
    WHERE s.request_no < %(before)s
    ORDER BY s.request_no DESC
    LIMIT %(looked_through)s
), judged AS (
    SELECT request_no, asker, contract, case_no, scheme, case_id, rail, state, requested_at, ended_at, reason, is_end,
           coalesce(state = %(state)s, true) AS fits
    FROM looked
)
SELECT request_no, asker, contract, case_no, scheme, case_id, rail, state, requested_at, ended_at, reason, is_end, fits
FROM judged WHERE fits OR is_end
ORDER BY request_no DESC
LIMIT %(limit)s;

-- name: simulations_of_case
-- Those of a case, newest first.
SELECT request_no, asker, contract, case_no, scheme, case_id, rail, state, requested_at, ended_at, reason, false AS is_end, true AS fits
FROM kvitt_views.simulations WHERE case_no = %(case_no)s AND request_no < %(before)s AND coalesce(state = %(state)s, true)
ORDER BY request_no DESC
LIMIT %(limit)s;

-- name: simulation
-- One simulation.
SELECT request_no, asker, contract, caller, message_no, case_no, scheme, case_id, rail, state, requested_at, asked_at, times_asked,
       ended_at, reason, deadline
FROM kvitt_views.simulations WHERE request_no = %(request_no)s;

-- name: questions
-- Its questions, each with the answer, and with what was found of the order by it.
SELECT t.place, t.area, t.order_id, t.attempts, t.status, t.reason, t.note, t.question, t.answer, k.mode, k.finding
FROM kvitt_views.simulation_texts AS t
LEFT JOIN kvitt_views.order_checks AS k ON k.order_id = t.order_id AND k.request_no = t.request_no
WHERE t.request_no = %(request_no)s
ORDER BY t.place
LIMIT %(limit)s;

-- name: differences
-- How the rail would pay an order otherwise than was expected.
SELECT order_id, kind, class_code, first_day, last_day, expected_kroner, simulated_kroner
FROM kvitt_views.order_check_differences WHERE order_id = ANY (%(order_ids)s::uuid[]) AND request_no = %(request_no)s
ORDER BY order_id, place;

-- name: version_of_case
-- Whether any of the newest simulations of a case has changed.
SELECT string_agg(s.request_no || s.state, '-')
FROM (SELECT request_no, state FROM kvitt_views.simulations WHERE case_no = %(case_no)s ORDER BY request_no DESC LIMIT 50) AS s;

-- name: simulation_version
-- Whether anything about a simulation, or what was found by it, has changed.
SELECT concat_ws('-', s.state, s.times_asked, s.ended_at, string_agg(concat_ws(' ', t.attempts, t.status, k.finding), '-' ORDER BY t.place))
FROM kvitt_views.simulations AS s
LEFT JOIN kvitt_views.simulation_texts AS t ON t.request_no = s.request_no
LEFT JOIN kvitt_views.order_checks AS k ON k.order_id = t.order_id AND k.request_no = t.request_no
WHERE s.request_no = %(request_no)s
GROUP BY s.state, s.times_asked, s.ended_at;
