-- name: calls
-- Calls before a place, newest first, of so many that are looked through.
WITH looked AS (
    SELECT message_no, application, outcome FROM kvitt_views.calls
    WHERE message_no < %(before)s ORDER BY message_no DESC LIMIT %(looked_through)s
), found AS (
    SELECT message_no FROM looked
    WHERE (%(outcome)s::text IS NULL OR outcome = %(outcome)s) AND (%(application)s::text IS NULL OR application = %(application)s)
    ORDER BY message_no DESC LIMIT %(limit)s
)
SELECT d.message_no, d.received_at, d.application, d.caseworker, d.by_approver, d.operation, d.contract, d.case_no, d.scheme, d.case_id, d.outcome,
       d.state, d.refused_status, d.refused_text
FROM found AS f CROSS JOIN LATERAL (SELECT * FROM kvitt_views.decisions WHERE message_no = f.message_no OFFSET 0) AS d
ORDER BY d.message_no DESC;

-- name: calls_of_case
-- Calls about a case before a place, newest first.
WITH found AS (
    SELECT message_no FROM kvitt_views.calls
    WHERE case_no = %(case_no)s AND message_no < %(before)s AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
      AND (%(application)s::text IS NULL OR application = %(application)s)
    ORDER BY message_no DESC LIMIT %(limit)s
)
SELECT d.message_no, d.received_at, d.application, d.caseworker, d.by_approver, d.operation, d.contract, d.case_no, d.scheme, d.case_id, d.outcome,
       d.state, d.refused_status, d.refused_text
FROM found AS f CROSS JOIN LATERAL (SELECT * FROM kvitt_views.decisions WHERE message_no = f.message_no OFFSET 0) AS d
ORDER BY d.message_no DESC;

-- name: end_of_look
-- The last call that was looked through, if there are more behind it.
SELECT message_no FROM kvitt_views.calls WHERE message_no < %(before)s ORDER BY message_no DESC OFFSET %(looked_through)s - 1 LIMIT 1;

-- name: refused
-- Calls that were refused for lack of authority, newest first.
SELECT at, done_by, subject, reason FROM kvitt_views.operator_acts WHERE what = 'access refused' ORDER BY seq DESC LIMIT %(limit)s;

-- name: callers
-- Callers for whom answers are kept.
SELECT subject FROM kvitt_views.answered_callers ORDER BY subject LIMIT %(limit)s;

-- name: answers
-- The answers that are kept for a caller, by their keys, behind one.
SELECT key, first_at, tries, status, content_type, body FROM kvitt_views.answer_texts
WHERE subject = %(caller)s AND key > %(after)s ORDER BY key LIMIT %(limit)s;
