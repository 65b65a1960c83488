-- Statements of the embedded queue adapter.

-- name: put
-- Stores messages in the order of the arrays; a queue id that the queue has seen is left alone. Wakes waiting consumers when something was stored.
WITH stored AS (
    INSERT INTO queue.message (queue, message_id, body, reply_to, priority)
    SELECT %(queue)s, given.message_id, given.body, given.reply_to, given.priority
    FROM unnest(%(message_ids)b::text[], %(bodies)b::bytea[], %(reply_tos)b::text[], %(priorities)b::smallint[])
         WITH ORDINALITY AS given (message_id, body, reply_to, priority, place)
    ORDER BY given.place
    ON CONFLICT (queue, message_id) DO NOTHING
    RETURNING 1
)
SELECT pg_notify(%(channel)s, '') FROM stored LIMIT 1;

-- name: open_gate
-- Lets one consumer of a queue at a time pick messages; held by the session, so it also ends with the connection. Gives up after a second.
SELECT set_config('lock_timeout', '1s', true), pg_advisory_lock(hashtextextended(%(queue)s, 7));

-- name: close_gate
-- Lets the next consumer of the queue pick messages, if the gate is ours.
SELECT pg_advisory_unlock_all();

-- name: count_lost
-- Counts a delivery of messages whose consumer is no more, or gave them back: nobody holds the row of their hand-out. A message that
-- somebody else has locked is not counted.
WITH lost AS (
    SELECT hand_out_no, sequences FROM queue.hand_out WHERE queue = %(queue)s FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM queue.hand_out WHERE queue = %(queue)s AND hand_out_no IN (SELECT hand_out_no FROM lost)
), returned AS MATERIALIZED (
    SELECT message.sequence
    FROM lost CROSS JOIN unnest(lost.sequences) AS given (sequence) JOIN queue.message AS message ON message.sequence = given.sequence
    WHERE message.consumed_at IS NULL
    FOR UPDATE OF message SKIP LOCKED
)
UPDATE queue.message AS message
SET deliveries = message.deliveries + 1
FROM returned
WHERE message.sequence = returned.sequence;

-- name: hand_out
-- Picks the next messages that nobody holds, up to so many and no more once they have so many bytes, and notes that they are handed out;
-- rows: number of the hand-out, sequence, deliveries before this one. What was given back since `count_lost` is to be counted first.
WITH ready AS (
    SELECT sequence, priority, octet_length(body) AS bytes, deliveries
    FROM queue.message
    WHERE queue = %(queue)s AND consumed_at IS NULL
      AND sequence NOT IN (SELECT unnest(h.sequences) FROM queue.hand_out AS h WHERE h.queue = %(queue)s)
    ORDER BY priority DESC, sequence
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), heavy AS (
    SELECT sequence, deliveries, sum(bytes) OVER (ORDER BY priority DESC, sequence) - bytes AS bytes_before FROM ready
), picked AS (
    SELECT sequence, deliveries FROM heavy WHERE bytes_before < %(bytes)s
), noted AS (
    INSERT INTO queue.hand_out (queue, sequences)
    SELECT %(queue)s, array_agg(sequence ORDER BY sequence) FROM picked HAVING count(*) > 0
    RETURNING hand_out_no
)
SELECT noted.hand_out_no, picked.sequence, picked.deliveries FROM noted CROSS JOIN picked;

-- name: hold
-- Locks a hand-out and its messages until the transaction ends and returns them, high priority first, then in order of put.
WITH ours AS MATERIALIZED (
    SELECT hand_out_no FROM queue.hand_out WHERE queue = %(queue)s AND hand_out_no = %(hand_out_no)s FOR UPDATE
)
SELECT held.sequence AS receipt, held.message_id, held.body, held.reply_to, held.priority, held.deliveries AS redeliveries
FROM ours CROSS JOIN unnest(%(sequences)b::bigint[]) AS picked (sequence)
CROSS JOIN LATERAL (
    SELECT * FROM queue.message AS message
    WHERE message.sequence = picked.sequence AND message.consumed_at IS NULL
    FOR UPDATE SKIP LOCKED
) AS held
ORDER BY held.priority DESC, held.sequence;

-- name: consume
-- Marks messages of a hand-out as consumed and drops their bodies; the ids stay so that a repeated put is recognised.
WITH over AS (
    DELETE FROM queue.hand_out WHERE queue = %(queue)s AND hand_out_no = %(hand_out_no)s
)
UPDATE queue.message AS message
SET consumed_at = clock_timestamp(), body = NULL, deliveries = message.deliveries + 1
FROM unnest(%(sequences)b::bigint[]) AS done (sequence)
WHERE message.sequence = done.sequence;

-- name: dead_letter
-- Copies messages that came back too often to the dead-letter queue and consumes them here. One that was there before and was taken from
-- there stands there again: it has come back since.
WITH doomed AS (
    SELECT message.*
    FROM unnest(%(sequences)b::bigint[]) AS given (sequence)
    JOIN queue.message AS message ON message.sequence = given.sequence
), dead_lettered AS (
    INSERT INTO queue.message (queue, message_id, body, reply_to, priority)
    SELECT %(dead_letters)s, message_id, body, reply_to, priority FROM doomed ORDER BY sequence
    ON CONFLICT (queue, message_id) DO UPDATE
    SET body = excluded.body, consumed_at = NULL, deliveries = 0, put_at = clock_timestamp()
)
UPDATE queue.message AS message
SET consumed_at = clock_timestamp(), body = NULL
FROM doomed
WHERE message.sequence = doomed.sequence;

-- name: was_put
-- Which of the ids the queue has seen, consumed ones included; rows: message_id.
SELECT message.message_id
FROM unnest(%(message_ids)b::text[]) AS asked (message_id)
JOIN queue.message AS message ON message.queue = %(queue)s AND message.message_id = asked.message_id;

-- name: depth
-- How many messages of the queue are not consumed, those handed out included.
SELECT count(*) FROM queue.message WHERE queue = %(queue)s AND consumed_at IS NULL;

-- name: prune
-- Forgets messages of the queue that were consumed before a moment; their ids are not recognised any more.
DELETE FROM queue.message WHERE queue = %(queue)s AND consumed_at < %(before)s;
