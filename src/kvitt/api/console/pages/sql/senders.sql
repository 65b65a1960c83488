-- name: moment_reached
-- When the last message came in that is looked through.
SELECT received_at FROM kvitt_views.messages WHERE message_no > 0 ORDER BY message_no DESC OFFSET %(looked_through)s - 1 LIMIT 1;

-- name: failures
-- Messages that failed since a moment, among the newest, by scheme, caller and text without its numbers; most first.
WITH looked AS (
    SELECT message_no FROM kvitt_views.messages WHERE message_no > 0 ORDER BY message_no DESC LIMIT %(looked_through)s
), failed AS (
    SELECT f.scheme, f.application, regexp_replace(f.text, '[0-9]{2,}', '…', 'g') AS text, f.received_at, f.message_no
    FROM kvitt_views.failure_texts AS f
    WHERE f.message_no >= (SELECT min(message_no) FROM looked) AND f.received_at >= %(since)s
)
SELECT scheme, application, text, count(*) AS messages, max(received_at) AS newest_at, max(message_no) AS newest_no
FROM failed GROUP BY scheme, application, text
ORDER BY messages DESC, newest_no DESC
LIMIT %(limit)s;

-- name: waiting
-- Messages that wait for their case behind a place, the longest waiting first, each with the first open order of the case.
SELECT m.message_no, m.received_at, m.case_no, m.scheme, m.case_id, c.queued_messages, c.contradictions, o.order_id, o.state AS order_state,
       o.is_held AS order_is_held, coalesce(o.sent_at, o.made_at) AS order_since
FROM (SELECT message_no, received_at, case_no, scheme, case_id FROM kvitt_views.messages
      WHERE state IN ('received', 'queued', 'derived') AND state = 'queued' AND received_at >= %(at)s
        AND (received_at, message_no) > (%(at)s, %(message_no)s)
      ORDER BY received_at, message_no LIMIT %(limit)s) AS m
JOIN kvitt_views.cases AS c ON c.case_no = m.case_no
LEFT JOIN LATERAL (
    SELECT order_id, state, is_held, sent_at, made_at FROM kvitt_views.orders
    WHERE case_no = m.case_no AND state IN ('ready', 'sending', 'sent', 'unknown') ORDER BY number LIMIT 1
) AS o ON true
ORDER BY m.received_at, m.message_no;

-- name: newest_message
-- The number of the newest message.
SELECT message_no FROM kvitt_views.messages WHERE message_no > 0 ORDER BY message_no DESC LIMIT 1;

-- name: has_failed_since
-- Whether one of the newest messages has failed, of those behind a number.
WITH looked AS (
    SELECT message_no FROM kvitt_views.messages WHERE message_no > %(known)s ORDER BY message_no DESC LIMIT %(looked_through)s
)
SELECT EXISTS (SELECT FROM kvitt_views.failure_texts WHERE message_no >= (SELECT min(message_no) FROM looked));
