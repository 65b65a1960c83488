-- The rail emulator's statements. Arrays in, rows out; one statement per step of a batch.

-- name: take_turns
-- Keeps other emulators away from the given names (cases and message ids) until the transaction ends; in one order, so that nobody waits in a circle.
SELECT count(pg_advisory_xact_lock(turn.key))
FROM (
    SELECT DISTINCT hashtextextended(given.name, 11) AS key
    FROM unnest(%(names)b::text[]) AS given (name)
    ORDER BY key
    OFFSET 0
) AS turn;

-- name: known_messages
-- Which of the message ids were received before; rows: message_id, digest.
SELECT received.message_id, received.digest
FROM unnest(%(message_ids)b::text[]) AS asked (message_id)
JOIN rail.received AS received ON received.message_id = asked.message_id;

-- name: known_cases
-- What is known of the cases asked for; rows: area, case_id, person (null where there is no such case), is_simulated (in any of its
-- areas, `of_cases`). Until the transaction ends whoever wants to simulate one of the cases finds that it is being booked.
SELECT asked.area, asked.case_id, known.person,
       NOT pg_try_advisory_xact_lock(hashtextextended('simulated ' || asked.areas || ' ' || asked.case_id, 12)) AS is_simulated
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(of_cases)b::text[]) AS asked (area, case_id, areas)
LEFT JOIN rail.known_case AS known ON known.area = asked.area AND known.case_id = asked.case_id;

-- name: named_lines
-- The accepted new lines with the ids asked for; rows as in entries_of_case.
SELECT entry.area, entry.case_id, entry.chain, entry.line_id, entry.starts, entry.ends, entry.amount, entry.rate_code, entry.class_code,
       entry.decided_rate, entry.ceased_from, entry.payee, entry.grade
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(line_ids)b::text[]) AS asked (area, case_id, line_id)
CROSS JOIN LATERAL (
    SELECT * FROM rail.entry AS line
    WHERE line.area = asked.area AND line.case_id = asked.case_id AND line.line_id = asked.line_id AND line.kind = 'line'
    OFFSET 0
) AS entry;

-- name: hold_backs
-- The hold-backs of the cases asked for; rows: area, case_id, starts, ends, transfers_on, is_error.
SELECT hold.area, hold.case_id, hold.starts, hold.ends, hold.transfers_on, hold.is_error
FROM unnest(%(areas)b::text[], %(case_ids)b::text[]) AS asked (area, case_id)
JOIN rail.hold_back AS hold ON hold.area = asked.area AND hold.case_id = asked.case_id;

-- name: add_received
-- Records what was received for the first time, with its outcome and what it is reconciled by.
INSERT INTO rail.received (message_id, digest, received_at, area, case_id, outcome, severity, note, code, component, key, person, kroner, made)
SELECT message_id, digest, received_at, area, case_id, outcome, severity, note, code, component, key, person, kroner, made
FROM unnest(%b::text[], %b::bytea[], %b::timestamptz[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
            %b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[])
     AS given (message_id, digest, received_at, area, case_id, outcome, severity, note, code, component, key, person, kroner, made);

-- name: add_cases
-- Opens cases.
INSERT INTO rail.known_case (area, case_id, person, opened_by)
SELECT area, case_id, person, opened_by
FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[]) AS given (area, case_id, person, opened_by);

-- name: add_entries
-- Writes accepted lines as entries, in the order of the arrays.
INSERT INTO rail.entry (area, case_id, kind, chain, line_id, starts, ends, amount, rate_code, class_code, decided_rate, ceased_from, payee,
                        grade, message_id)
SELECT area, case_id, CASE WHEN ceased_from IS NULL THEN 'line' ELSE 'cessation' END, chain, line_id, starts, ends, amount, rate_code,
       class_code, decided_rate, ceased_from, payee, grade, message_id
FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::date[], %b::date[], %b::bigint[], %b::text[], %b::text[], %b::bigint[],
            %b::date[], %b::text[], %b::integer[], %b::text[])
     WITH ORDINALITY AS given (area, case_id, chain, line_id, starts, ends, amount, rate_code, class_code, decided_rate, ceased_from,
                               payee, grade, message_id, place)
ORDER BY place;

-- name: put_hold_backs
-- Registers hold-backs; one with the same first day replaces the earlier. The arrays hold each (area, case, first day) once.
INSERT INTO rail.hold_back (area, case_id, starts, ends, transfers_on, is_error)
SELECT area, case_id, starts, ends, transfers_on, is_error
FROM unnest(%(areas)b::text[], %(case_ids)b::text[], %(starts)b::date[], %(ends)b::date[], %(transfers)b::date[], %(errors)b::boolean[])
     AS given (area, case_id, starts, ends, transfers_on, is_error)
ON CONFLICT (area, case_id, starts)
DO UPDATE SET ends = EXCLUDED.ends, transfers_on = EXCLUDED.transfers_on, is_error = EXCLUDED.is_error;

-- name: add_receipts
-- Stores receipts in the order in which they shall leave; due null = never. One that was decided before is left alone.
INSERT INTO rail.receipt (receipt_id, message_id, digest, reply_to, body, due_at)
SELECT receipt_id, message_id, digest, reply_to, body, due_at
FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::text[], %b::bytea[], %b::timestamptz[])
     WITH ORDINALITY AS given (receipt_id, message_id, digest, reply_to, body, due_at, place)
ORDER BY place
ON CONFLICT (receipt_id) DO NOTHING;

-- name: add_repeats
-- Counts the messages that came again with the same bytes; an id may stand more than once.
UPDATE rail.received AS received
SET repeats = received.repeats + again.times
FROM (SELECT message_id, count(*) AS times FROM unnest(%(message_ids)b::text[]) AS given (message_id) GROUP BY message_id) AS again
WHERE received.message_id = again.message_id;

-- name: send_again
-- Lets the stored receipts of repeated messages leave once more; a swallowed one only for a message that was put anew, and one without an
-- address never. What answers a message that was put anew is a message of its own on the reply queue.
UPDATE rail.receipt AS receipt
SET put_at = NULL, due_at = coalesce(receipt.due_at, %(now)s), resends = receipt.resends + again.anew::integer
FROM unnest(%(message_ids)b::text[], %(anew)b::boolean[]) AS given (message_id, anew)
CROSS JOIN LATERAL (
    SELECT stored.sequence, given.anew
    FROM rail.receipt AS stored
    WHERE stored.message_id = given.message_id AND stored.reply_to <> '' AND (stored.due_at IS NOT NULL OR given.anew)
    OFFSET 0
) AS again
WHERE receipt.sequence = again.sequence;

-- name: add_conflicts
-- Records that a message id came again with other bytes.
INSERT INTO rail.conflict (message_id, digest, received_at)
SELECT message_id, digest, %(now)s
FROM unnest(%(message_ids)b::text[], %(digests)b::bytea[]) AS given (message_id, digest)
ON CONFLICT (message_id, digest) DO NOTHING;

-- name: due_receipts
-- Receipts that may leave and have not been put yet, in order; rows: receipt_id, reply_to, body, resends.
SELECT receipt_id, reply_to, body, resends
FROM rail.receipt
WHERE put_at IS NULL AND due_at IS NOT NULL AND due_at <= %(now)s
ORDER BY sequence
LIMIT %(limit)s;

-- name: mark_put
-- Notes that receipts stand on their reply queue. Not worth waiting for the disk: a forgotten note puts the same id once more.
UPDATE rail.receipt AS receipt
SET put_at = %(now)s
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS lazily, unnest(%(receipt_ids)b::text[]) AS done (receipt_id)
WHERE receipt.receipt_id = done.receipt_id;

-- name: get_faults
-- The faults that are switched on, as JSON text.
SELECT faults::text FROM rail.faults;

-- name: lock_faults
-- Holds the faults until the transaction ends.
SELECT 1 FROM rail.faults FOR UPDATE;

-- name: set_faults
-- Replaces the faults that are switched on.
INSERT INTO rail.faults (faults) VALUES (%(faults)s::jsonb)
ON CONFLICT (only_row) DO UPDATE SET faults = EXCLUDED.faults;

-- name: entries_of_case
-- the entries of one case in the order of its effects; rows: area, case_id, chain, line_id, starts, ends, amount, rate_code, class_code, decided_rate, ceased_from, payee, grade.
SELECT area, case_id, chain, line_id, starts, ends, amount, rate_code, class_code, decided_rate, ceased_from, payee, grade
FROM rail.entry
WHERE area = %(area)s AND case_id = %(case_id)s
ORDER BY sequence;

-- name: entries
-- All entries by case; rows as in entries_of_case.
SELECT area, case_id, chain, line_id, starts, ends, amount, rate_code, class_code, decided_rate, ceased_from, payee, grade
FROM rail.entry
ORDER BY area, case_id, sequence;

-- name: lines_accepted_twice
-- Line ids that stand more than once among the entries of a case as new lines; rows: area, case_id, line_id.
SELECT area, case_id, line_id
FROM rail.entry
WHERE kind = 'line'
GROUP BY area, case_id, line_id
HAVING count(*) > 1
ORDER BY area, case_id, line_id;

-- name: conflicting_messages
-- Message ids that came with different bytes; rows: message_id.
SELECT DISTINCT message_id FROM rail.conflict ORDER BY message_id;

-- name: same_bytes
-- Groups of message ids under which the same bytes came; rows: message_ids.
SELECT array_agg(message_id ORDER BY received_at, message_id) FROM rail.received GROUP BY digest HAVING count(*) > 1 ORDER BY 1;

-- name: received
-- Everything received, by time; rows: message_id, digest, received_at, area, case_id, outcome, severity, note, repeats.
SELECT message_id, digest, received_at, area, case_id, outcome, severity, note, repeats
FROM rail.received
ORDER BY received_at, message_id;
