-- name: ensure_cases
-- Makes the rows of cases that are not there yet, in sorted order so that two batches never wait for each other in a circle; returns
-- which those are.
INSERT INTO cases (scheme, case_id)
SELECT w.scheme, w.case_id
FROM unnest(%b::text[], %b::text[]) AS w (scheme, case_id)
WHERE NOT EXISTS (SELECT FROM cases AS c WHERE c.scheme = w.scheme AND c.case_id = w.case_id)
ORDER BY 1, 2
ON CONFLICT (scheme, case_id) DO NOTHING
RETURNING case_no;

-- name: lock_cases
-- Locks the named cases for this transaction, in sorted order, and returns what must be known of them, and whether something
-- that came before waits for them to be free; unknown ones give no row.
SELECT c.case_no, c.scheme, c.case_id, c.person, c.areas, c.orders_made, c.open_orders, c.queued, c.audit_seq, c.last_event_hash, c.last_at,
       c.unknown, c.contradictions, c.contract, c.frame_start, c.cap_kroner, c.numbered, c.ordered_for, c.opened_for,
       (SELECT true FROM deferred AS d WHERE d.scheme = c.scheme AND d.case_id = c.case_id AND d.taken_at IS NULL LIMIT 1) IS NOT NULL AS deferred
FROM unnest(%b::text[], %b::text[]) AS w (scheme, case_id)
JOIN cases AS c ON c.scheme = w.scheme AND c.case_id = w.case_id
ORDER BY c.scheme, c.case_id
FOR UPDATE OF c;

-- name: current_payments
-- The accepted payments of cases, ceased ones too, each with its place in the case list. Whoever asks sorts by it: numbers are sorted
-- faster than documents. With a number, and without a document: an order that counts as rejected or taken back, which the rail may have.
SELECT p.case_no, p.position_in_case, p.document, p.number
FROM unnest(%b::bigint[]) AS w (case_no)
CROSS JOIN LATERAL (
    (
        SELECT q.case_no, q.position_in_case, q.document, NULL::integer AS number
        FROM payments AS q
        WHERE q.case_no = w.case_no AND q.state = 'accepted' AND NOT q.superseded
        OFFSET 0
    )
    UNION ALL
    (
        SELECT r.case_no, 0::bigint, NULL::bytea, r.number
        FROM orders AS r
        WHERE r.case_no = w.case_no AND r.state IN ('rejected', 'withdrawn') AND (r.decided_by_hand OR r.resends > 0)
        OFFSET 0
    )
) AS p;

-- name: payments_of_lost_orders
-- The payments of orders that count as rejected or taken back and that the rail may have, with whether each went on from a line that the
-- rail had.
SELECT d.case_no, d.version AS number, d.document AS payment, (
    SELECT l.refers_to IS NOT NULL OR l.ceased_from IS NOT NULL FROM order_lines AS l
    WHERE l.order_id = d.order_id AND l.payment_id = d.payment_id ORDER BY l.position LIMIT 1
) AS continues
FROM unnest(%b::bigint[], %b::integer[]) AS w (case_no, number)
CROSS JOIN LATERAL (
    SELECT * FROM payments AS q WHERE q.case_no = w.case_no AND q.version = w.number AND q.state = 'dropped'
    OFFSET 0
) AS d
ORDER BY d.position_in_case;

-- name: ids_in_use
-- Which of these client-chosen payment ids a case other than the asking one has accepted or pending, and which are pending in its own.
-- OFFSET 0 keeps the lookup per id: as a join it would read all payments that somebody chose the id of.
SELECT DISTINCT w.ordinal, w.payment_id::text, (c.scheme, c.case_id) = (w.scheme, w.case_id) AS own
FROM unnest(%b::integer[], %b::uuid[], %b::text[], %b::text[]) AS w (ordinal, payment_id, scheme, case_id)
CROSS JOIN LATERAL (
    SELECT q.case_no, q.state FROM payments AS q
    WHERE q.payment_id = w.payment_id AND q.client_chose
      AND (q.state = 'pending' OR (q.state = 'accepted' AND NOT q.superseded))
    OFFSET 0
) AS p
JOIN cases AS c ON c.case_no = p.case_no
WHERE (c.scheme, c.case_id) <> (w.scheme, w.case_id) OR p.state = 'pending';

-- name: next_message_numbers
-- As many fresh message numbers as asked for, rising, once this transaction alone decides about what these persons are paid, as `lock_persons`
-- has it; and the limits that people have set, as `decode_limits` reads them.
WITH locked AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(p.key))
    FROM (SELECT DISTINCT hashtextextended(w.person, 15) AS key FROM unnest(%b::text[]) AS w (person) ORDER BY 1 OFFSET 0) AS p
)
SELECT array_agg(nextval('message_numbers')) AS numbers,
       (SELECT json_agg(json_build_array(l.source, l.kroner_per_hour, l.kroner_per_order, l.until))::text FROM source_limits AS l) AS limits
FROM locked CROSS JOIN generate_series(1, %b::integer);

-- name: queued_messages
-- The longest queued messages of cases after a given one, at most so many of each, all of them oldest first, with the limits that people
-- have set, as `decode_limits` reads them.
SELECT c.case_no, m.message_no, m.source, m.partition, m.position, m.key, m.body, m.headers, m.received_at, m.edition,
       (SELECT json_agg(json_build_array(l.source, l.kroner_per_hour, l.kroner_per_order, l.until))::text FROM source_limits AS l) AS limits
FROM unnest(%b::bigint[], %b::bigint[]) AS c (case_no, after)
CROSS JOIN LATERAL (
    SELECT * FROM messages AS q
    WHERE q.case_no = c.case_no AND q.state = 'queued' AND q.message_no > c.after
    ORDER BY q.message_no
    LIMIT %b
) AS m
ORDER BY m.message_no;

-- name: answer_of_edge
-- The message that came in under an edge identity, and its answer so far.
SELECT message_no, digest, state, answer FROM messages WHERE source = %b AND partition = %b AND position = %b;

-- name: idempotency_records
-- The newest message of each identity, with how far it has come and the answer that its sender had last; it is locked, so that nothing
-- else is published of it meanwhile.
SELECT w.ordinal, n.message_no, n.digest, m.state, m.answer
FROM unnest(%b::integer[], %b::bigint[], %b::text[], %b::text[]) AS w (ordinal, case_no, subject, name)
CROSS JOIN LATERAL (
    SELECT q.message_no, q.digest FROM idempotency_records AS q
    WHERE q.case_no = w.case_no AND q.subject = w.subject AND q.name = w.name
    ORDER BY q.message_no DESC LIMIT 1
) AS n
JOIN messages AS m ON m.message_no = n.message_no
ORDER BY m.message_no
FOR UPDATE OF m;

-- name: accepted_lines
-- The lines of the accepted orders of cases, as their senders made them, oldest first; and those of orders that count as rejected and that
-- the rail may have, which are not certain.
SELECT o.case_no, l.line_id, l.refers_to, l.class_code, l.start_on AS start, l.end_on AS "end", l.amount, l.ceased_from, o.certain
FROM unnest(%b::bigint[]) AS w (case_no)
CROSS JOIN LATERAL (
    SELECT q.case_no, q.order_id, q.number, q.state = 'accepted' AS certain FROM orders AS q
    WHERE q.case_no = w.case_no AND (q.state = 'accepted' OR (q.state IN ('rejected', 'withdrawn') AND (q.decided_by_hand OR q.resends > 0)))
    OFFSET 0
) AS o
JOIN order_lines AS l ON l.order_id = o.order_id
ORDER BY o.case_no, o.number, l.position;

-- name: decisions_of_cases
-- The received decisions of cases that a new one may go on from: the newest, the newest in force, and those that are named; with how
-- far each has come. The chain is walked back from its end, no farther than to the first that is in force. Those that were taken over
-- with their case come with what a repeat of them meets.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%b::bigint[]) AS a (case_no)
), named AS MATERIALIZED (
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[]) AS n (case_no, subject, name)
), found AS (
    SELECT a.case_no, n.message_no
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT d.message_no FROM decisions AS d
        WHERE d.case_no = a.case_no AND d.outcome IN ('ordered', 'unchanged') ORDER BY d.message_no DESC LIMIT 1
    ) AS n
    UNION
    SELECT a.case_no, f.message_no
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT d.message_no FROM decisions AS d
        WHERE d.case_no = a.case_no AND d.outcome IN ('ordered', 'unchanged') AND (
            d.outcome = 'unchanged' OR (
                EXISTS (SELECT FROM orders AS o WHERE o.message_no = d.message_no AND o.state = 'accepted')
                AND NOT EXISTS (
                    SELECT FROM orders AS o WHERE o.message_no = d.message_no AND o.state IN ('ready', 'sending', 'sent', 'unknown')
                )
            )
        )
        ORDER BY d.message_no DESC LIMIT 1
    ) AS f
    UNION
    SELECT n.case_no, i.message_no
    FROM named AS n
    CROSS JOIN LATERAL (
        SELECT q.message_no FROM idempotency_records AS q
        WHERE q.case_no = n.case_no AND q.subject = n.subject AND q.name = n.name ORDER BY q.message_no DESC LIMIT 1
    ) AS i
    JOIN decisions AS d ON d.message_no = i.message_no AND d.outcome IN ('ordered', 'unchanged')
)
SELECT f.case_no, ARRAY[i.subject, i.name] AS key, f.message_no, (
    SELECT CASE WHEN count(*) = 0 THEN 'without_payment'
                WHEN bool_or(o.state IN ('ready', 'sending', 'sent', 'unknown')) THEN 'open'
                WHEN bool_or(o.state = 'accepted') THEN 'accepted'
                ELSE 'rejected' END
    FROM orders AS o WHERE o.message_no = f.message_no
) AS state, NULL::bytea AS digest, NULL::bytea AS answer
FROM found AS f JOIN idempotency_records AS i ON i.message_no = f.message_no
UNION ALL
SELECT t.case_no, ARRAY[t.subject, t.name], t.message_no, t.state, t.digest, t.answer
FROM (
    SELECT n.message_no
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT q.message_no FROM imported_decisions AS q WHERE q.case_no = a.case_no ORDER BY q.message_no DESC LIMIT 1
    ) AS n
    UNION
    SELECT n.message_no
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT q.message_no FROM imported_decisions AS q
        WHERE q.case_no = a.case_no AND q.state <> 'rejected' ORDER BY q.message_no DESC LIMIT 1
    ) AS n
    UNION
    SELECT i.message_no
    FROM named AS n
    CROSS JOIN LATERAL (
        SELECT q.message_no FROM imported_decisions AS q
        WHERE q.case_no = n.case_no AND q.subject = n.subject AND q.name = n.name
        OFFSET 0
    ) AS i
) AS x
CROSS JOIN LATERAL (SELECT * FROM imported_decisions AS q WHERE q.message_no = x.message_no OFFSET 0) AS t;
