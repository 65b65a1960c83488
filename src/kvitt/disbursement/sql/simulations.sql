-- name: requests_by_number
-- Requests with all that is known of them, but their questions.
SELECT r.request_no, r.name, r.asker, r.contract, r.message_no, r.caller, r.case_no, c.scheme, c.case_id, r.person, r.rail, r.state,
       r.requested_at, r.deadline, r.asked_at, r.times_asked, r.ended_at, r.reason, r.note
FROM unnest(%b::bigint[]) AS w (request_no)
JOIN simulation_requests AS r ON r.request_no = w.request_no
JOIN cases AS c ON c.case_no = r.case_no
ORDER BY r.request_no;

-- name: list_requests
-- The newest requests, newest first: those of a state, of a case, of a person, of a message, and before a number, where these are named.
SELECT r.request_no, r.name, r.asker, r.contract, r.message_no, r.caller, r.case_no, c.scheme, c.case_id, r.person, r.rail, r.state,
       r.requested_at, r.deadline, r.asked_at, r.times_asked, r.ended_at, r.reason, r.note
FROM simulation_requests AS r
JOIN cases AS c ON c.case_no = r.case_no
WHERE (%(state)s::text IS NULL OR r.state = %(state)s)
  AND (%(scheme)s::text IS NULL OR c.scheme = %(scheme)s)
  AND (%(case_id)s::text IS NULL OR c.case_id = %(case_id)s)
  AND (%(message_no)s::bigint IS NULL OR r.message_no = %(message_no)s)
  AND (%(before)s::bigint IS NULL OR r.request_no < %(before)s)
ORDER BY r.request_no DESC
LIMIT %(limit)s;

-- name: questions_of_requests
-- The questions of requests, in their order.
SELECT q.request_no, q.place, q.area, q.order_id::text, q.question, q.attempts, q.status, q.answer, q.reason, q.note, q.by_rule
FROM unnest(%b::bigint[]) AS w (request_no)
CROSS JOIN LATERAL (SELECT * FROM simulation_questions AS s WHERE s.request_no = w.request_no OFFSET 0) AS q
ORDER BY q.request_no, q.place;

-- name: has_ended
-- Whether a request is at its end.
SELECT ended_at IS NOT NULL FROM simulation_requests WHERE request_no = %s;

-- name: ended_among
-- Those of these requests that are at their end.
SELECT r.request_no FROM simulation_requests AS r WHERE r.request_no = ANY (%b::bigint[]) AND r.ended_at IS NOT NULL;

-- name: request_named
-- The number of the request of that name.
SELECT request_no FROM simulation_requests WHERE name = %s;

-- name: ask_again
-- The questions of a request once more, as a request of its own.
WITH made AS (
    INSERT INTO simulation_requests (name, asker, contract, caller, case_no, person, rail, requested_at)
    SELECT %(name)s, 'call', r.contract, %(caller)s, r.case_no, r.person, r.rail, %(now)s
    FROM simulation_requests AS r WHERE r.request_no = %(request_no)s ORDER BY r.request_no
    RETURNING request_no
), asked AS (
    INSERT INTO simulation_questions (request_no, place, area, question)
    SELECT m.request_no, q.place, q.area, q.question
    FROM made AS m, simulation_questions AS q WHERE q.request_no = %(request_no)s
)
SELECT request_no FROM made;

-- name: open_since
-- Since when each of these cases has had its oldest open order.
SELECT o.case_no, min(o.made_at) AS made_at FROM orders AS o
WHERE o.case_no = ANY (%b::bigint[]) AND o.state IN ('ready', 'sending', 'sent', 'unknown')
GROUP BY o.case_no;

-- name: at_rail
-- Those of these cases of which an order may be at the rail now, or may leave at any moment: a sender that has just seen it free takes it still.
SELECT DISTINCT o.case_no FROM orders AS o
WHERE o.case_no = ANY (%b::bigint[]) AND (o.state IN ('sending', 'sent', 'unknown') OR (o.state = 'ready' AND o.held_for = '[]'));

-- name: candidates
-- The oldest requests that may be asked now, one for each case, none of a case that is being asked about, and some cases left out. A check
-- waits while an order of its case may be at the rail, or may leave at any moment; all else is refused then.
SELECT r.request_no, r.case_no, c.scheme, c.case_id
FROM (
    SELECT min(w.request_no) AS request_no, w.case_no FROM simulation_requests AS w
    WHERE w.rail = %(rail)s AND w.state = 'requested' AND w.case_no <> ALL (%(but)s::bigint[])
      AND NOT EXISTS (SELECT FROM simulation_requests AS a WHERE a.case_no = w.case_no AND a.state = 'asked')
      AND (w.asker <> 'check' OR NOT EXISTS (
          SELECT FROM orders AS o
          WHERE o.case_no = w.case_no AND (o.state IN ('sending', 'sent', 'unknown') OR (o.state = 'ready' AND o.held_for = '[]'))
      ))
    GROUP BY w.case_no
    ORDER BY request_no
    LIMIT %(limit)s
) AS r
JOIN cases AS c ON c.case_no = r.case_no
ORDER BY r.request_no;

-- name: overdue
-- Those of the oldest requests that have waited too long for their turn. Checks wait for as long as it takes.
SELECT o.request_no
FROM (
    SELECT w.request_no, w.requested_at, w.deadline FROM simulation_requests AS w
    WHERE w.rail = %(rail)s AND w.state = 'requested' AND w.asker <> 'check'
    ORDER BY w.request_no
    LIMIT %(limit)s
) AS o
WHERE least(o.deadline, o.requested_at + %(wait)s::interval) < %(now)s
ORDER BY o.request_no;

-- name: still_requested
-- Those of these requests that nobody has begun to ask, read under the locks of their cases.
SELECT r.request_no FROM simulation_requests AS r WHERE r.request_no = ANY (%b::bigint[]) AND r.state = 'requested';

-- name: begin_asking
-- Requests are asked from now on, by this simulator.
UPDATE simulation_requests SET state = 'asked', simulator = %(simulator)s, asked_at = %(now)s, times_asked = times_asked + 1
WHERE request_no = ANY (%(requests)s::bigint[]) AND state = 'requested';

-- name: take_over
-- What a simulator that is no more was asking, this one asks now: the cases stay locked meanwhile, and as long as the rail may be at work on
-- the first question.
UPDATE simulation_requests SET simulator = %(simulator)s, times_asked = times_asked + 1, at_work_until = %(at_work_until)s
WHERE rail = %(rail)s AND state = 'asked' AND simulator <> %(simulator)s
RETURNING request_no;

-- name: answer_questions
-- Keeps the rail's answers.
UPDATE simulation_questions AS q
SET attempts = s.attempts, status = s.status, answer = s.answer, reason = s.reason, note = s.note, by_rule = s.by_rule
FROM unnest(%b::bigint[], %b::integer[], %b::integer[], %b::integer[], %b::bytea[], %b::text[], %b::text[], %b::boolean[])
     AS s (request_no, place, attempts, status, answer, reason, note, by_rule)
WHERE q.request_no = s.request_no AND q.place = s.place;

-- name: end_requests
-- Ends requests that nobody has ended; those that are asked only by this simulator. Returns those that ended. With until when the rail may
-- be at work on them.
UPDATE simulation_requests AS r
SET state = s.state, ended_at = s.ended_at, reason = s.reason, note = s.note, simulator = NULL,
    at_work_until = greatest(r.at_work_until, s.at_work_until)
FROM unnest(%(requests)b::bigint[], %(states)b::text[], %(moments)b::timestamptz[], %(reasons)b::text[], %(notes)b::text[],
            %(at_work_until)b::timestamptz[])
     AS s (request_no, state, ended_at, reason, note, at_work_until)
WHERE r.request_no = s.request_no AND (r.state = 'requested' OR (r.state = 'asked' AND r.simulator = %(simulator)s))
RETURNING r.request_no;
