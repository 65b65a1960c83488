-- What is asked of decisions that form chains.

-- name: status_of_decision
-- The answer that is kept of a decision that was received, by the names of its case (one of several ways to write it) and its own; the
-- newest one of its behandling where no name of an enactment is given.
SELECT m.state, m.answer
FROM cases AS c
JOIN idempotency_records AS i ON i.case_no = c.case_no AND i.subject = %(decision)s
JOIN messages AS m ON m.message_no = i.message_no AND m.source = %(source)s
WHERE c.scheme = %(scheme)s AND c.case_id = ANY (%(cases)s::text[])
  AND (%(enactment)s::text IS NULL OR i.name = %(enactment)s)
ORDER BY i.message_no DESC LIMIT 1;

-- name: status_of_call
-- The answer that is kept of the newest decision that came in under this key and was received, whatever its case.
SELECT m.state, m.answer
FROM messages AS m
JOIN idempotency_records AS i ON i.message_no = m.message_no
WHERE m.source = %(source)s AND m.source LIKE 'rest.iverksetting.%%' AND m.key = %(key)s
ORDER BY m.message_no DESC LIMIT 1;

-- name: stopped_areas
-- Where sending is stopped, by rail and area; an asterisk stands for all of them.
SELECT rail, area FROM kvitt_views.stops;
