-- What a process that takes decisions by calls asks of the store.

-- name: next_positions
-- The first of a span of positions that nobody else is given; the span is as long as the sequence's step.
SELECT nextval('decision_positions');

-- name: decided_calls
-- What was done of calls by their places, where they have been handled.
SELECT m.source, m.position, d.message_no, m.answer, d.outcome, d.refused_status, d.refused_text, d.refused_doc, d.refused_system
FROM unnest(%b::text[], %b::bigint[]) AS w (source, position)
JOIN messages AS m ON m.source = w.source AND m.partition = 0 AND m.position = w.position
JOIN decisions AS d ON d.message_no = m.message_no;
