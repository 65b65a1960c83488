-- What is asked of dry runs.

-- name: ended_dry_runs
-- The answers of those of these messages that have their last one.
SELECT m.message_no, m.answer FROM messages AS m WHERE m.message_no = ANY (%b::bigint[]) AND m.state = 'answered';
