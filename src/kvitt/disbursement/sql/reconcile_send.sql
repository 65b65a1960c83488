-- name: dequeue_run_messages
-- Takes up to so many ready messages of the oldest run of a rail that is not good, in their order; none while one of that run is under way
-- or may be, and none of a run that somebody else has locked.
WITH r AS MATERIALIZED (
    SELECT n.run_no FROM reconciliation_runs AS n
    WHERE n.rail = %(rail)s AND n.state = 'made'
      AND EXISTS (SELECT FROM reconciliation_messages AS m WHERE m.run_no = n.run_no AND m.state = 'ready')
      AND NOT EXISTS (SELECT FROM reconciliation_messages AS m WHERE m.run_no = n.run_no AND m.state IN ('sending', 'unknown'))
    ORDER BY n.run_no
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), p AS MATERIALIZED (
    SELECT m.run_no, m.place FROM r JOIN reconciliation_messages AS m ON m.run_no = r.run_no
    WHERE m.state = 'ready' ORDER BY m.place LIMIT %(limit)s
)
UPDATE reconciliation_messages AS m SET state = 'sending', sender = %(sender)s
FROM p WHERE m.run_no = p.run_no AND m.place = p.place AND m.state = 'ready'
RETURNING m.message_id::text, m.run_no, m.place AS number, m.body;

-- name: mark_messages_sent
-- The queue has these messages; returns those that moved.
UPDATE reconciliation_messages AS m SET state = 'sent', sender = NULL, sent_at = %(now)s
WHERE m.message_id = ANY (%(ids)s::uuid[])
  AND ((m.state = 'sending' AND m.sender = %(sender)s) OR (m.state = 'unknown' AND m.sender IS NOT NULL))
RETURNING m.message_id::text;

-- name: lock_runs
-- Locks runs, in their order.
SELECT run_no FROM reconciliation_runs WHERE run_no = ANY (%(runs)s::bigint[]) ORDER BY run_no FOR UPDATE;

-- name: runs_to_good
-- Runs whose messages are all put are good; returns them.
UPDATE reconciliation_runs AS n SET state = 'good', good_at = %(now)s
WHERE n.run_no = ANY (%(runs)s::bigint[]) AND n.state = 'made'
  AND NOT EXISTS (SELECT FROM reconciliation_messages AS m WHERE m.run_no = n.run_no AND m.state IN ('ready', 'sending', 'unknown'))
RETURNING n.run_no;

-- name: give_messages_back
-- Makes messages ready again that this sender has begun to send, and that for certain are not on the queue.
UPDATE reconciliation_messages SET state = 'ready', sender = NULL
WHERE message_id = ANY (%(ids)s::uuid[]) AND state = 'sending' AND sender = %(sender)s
RETURNING message_id::text;

-- name: messages_to_unknown
-- Messages that a sender which is no more had begun to send: they may have reached the queue or not.
UPDATE reconciliation_messages AS m SET state = 'unknown'
FROM reconciliation_runs AS n
WHERE n.run_no = m.run_no AND n.rail = %(rail)s AND m.state = 'sending' AND m.sender <> %(sender)s
RETURNING m.message_id::text;

-- name: unknown_messages
-- Messages of which nobody knows whether they came to the queue, in their order; some are left out.
SELECT m.message_id::text, m.run_no FROM reconciliation_messages AS m JOIN reconciliation_runs AS n ON n.run_no = m.run_no
WHERE n.rail = %(rail)s AND m.state = 'unknown' AND m.sender IS NOT NULL AND m.message_id <> ALL (%(but)s::uuid[])
ORDER BY m.run_no, m.place LIMIT %(limit)s;

-- name: unknown_messages_to_sending
-- Takes unknown messages, to put them again.
UPDATE reconciliation_messages SET state = 'sending', sender = %(sender)s
WHERE message_id = ANY (%(ids)s::uuid[]) AND state = 'unknown'
RETURNING message_id::text, run_no, place AS number, body;

-- name: resolve_messages
-- An operator knows whether the unknown messages of a run came to the queue; returns how many there were.
UPDATE reconciliation_messages SET state = %(state)s, sender = NULL, sent_at = %(sent_at)s
WHERE run_no = %(run_no)s AND state = 'unknown'
RETURNING message_id::text;
