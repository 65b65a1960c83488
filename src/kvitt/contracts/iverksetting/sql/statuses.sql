-- What is asked of decisions that form chains.

-- name: status_of_decision
-- The answer that is kept of a decision that was received, by the names of its case (one of several ways to write it) and its own; the
-- newest one of its behandling where no name of an enactment is given. One that was taken over with its case has its answer beside it.
SELECT f.state, f.answer
FROM (
    SELECT m.message_no, m.state, m.answer
    FROM cases AS c
    JOIN idempotency_records AS i ON i.case_no = c.case_no AND i.subject = %(decision)s
    JOIN messages AS m ON m.message_no = i.message_no AND m.source = %(source)s
    WHERE c.scheme = %(scheme)s AND c.case_id = ANY (%(cases)s::text[])
      AND (%(enactment)s::text IS NULL OR i.name = %(enactment)s)
    UNION ALL
    SELECT d.message_no, 'answered', d.answer
    FROM cases AS c
    JOIN imported_decisions AS d ON d.case_no = c.case_no AND d.subject = %(decision)s
    WHERE c.scheme = %(scheme)s AND c.case_id = ANY (%(cases)s::text[])
      AND (%(enactment)s::text IS NULL OR d.name = %(enactment)s)
) AS f
ORDER BY f.message_no DESC LIMIT 1;

-- name: status_of_call
-- The answer that is kept of the newest decision that came in under this key and was received, whatever its case; or that was taken over.
SELECT f.state, f.answer
FROM (
    (
        SELECT m.message_no, m.state, m.answer
        FROM messages AS m
        JOIN idempotency_records AS i ON i.message_no = m.message_no
        WHERE m.source = %(source)s AND m.source LIKE 'rest.iverksetting.%%' AND m.key = %(key)s
        ORDER BY m.message_no DESC LIMIT 1
    )
    UNION ALL
    (
        SELECT d.message_no, 'answered', d.answer
        FROM imported_decisions AS d
        JOIN cases AS c ON c.case_no = d.case_no AND c.scheme = %(scheme)s
        WHERE d.subject = %(decision)s AND d.name = ''
        ORDER BY d.message_no DESC LIMIT 1
    )
) AS f
ORDER BY f.message_no DESC LIMIT 1;

-- name: cases_of_call
-- The cases in which a decision came in under this key and was received, or was taken over under this name.
SELECT c.case_id
FROM messages AS m
JOIN idempotency_records AS i ON i.message_no = m.message_no
JOIN cases AS c ON c.case_no = i.case_no
WHERE m.source = %(source)s AND m.source LIKE 'rest.iverksetting.%%' AND m.key = %(key)s
UNION
SELECT c.case_id
FROM imported_decisions AS d
JOIN cases AS c ON c.case_no = d.case_no AND c.scheme = %(scheme)s
WHERE d.subject = %(decision)s AND d.name = ''
ORDER BY case_id;

-- name: stopped_areas
-- Where sending is stopped, by rail and area; an asterisk stands for all of them.
SELECT rail, area FROM kvitt_views.stops;
