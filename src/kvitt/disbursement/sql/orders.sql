-- name: dequeue_orders
-- Takes up to so many ready orders of a rail for sending, oldest first, and returns their bytes; held ones, what is stopped, those of which
-- the rail was asked too long ago, cases that it may be at work on, and rows that another sender holds are passed by.
-- Picked before the join: a subquery may be run again for each row that is joined, and then takes the next rows each time.
-- Whoever leaves on a later day than it was made on leaves under the key of that day, where the rail compares by days; and never under that
-- of a day that is reported. One of which a copy may be at the rail has left under the former key as well.
WITH r AS MATERIALIZED (
    SELECT order_id, coalesce(key_day, day) AS under, sent_at IS NOT NULL OR was_unknown AS may_have_left, greatest(%(day)s::date, (
               SELECT a.last_day + 1 FROM reconciled_areas AS a WHERE a.rail = orders.rail AND a.area = orders.area AND a.kind = 'interface'
           )) AS earliest, reconciliation_key IS NULL AS by_day
    FROM orders
    WHERE rail = %(rail)s AND state = 'ready' AND held_for = '[]' AND (leaves_before IS NULL OR leaves_before > %(now)s)
      AND NOT EXISTS (SELECT FROM stops AS s WHERE s.rail IN (orders.rail, '*') AND s.area IN (orders.area, '*'))
      AND NOT EXISTS (SELECT FROM simulation_requests AS q WHERE q.case_no = orders.case_no AND (q.state = 'asked' OR q.at_work_until > %(now)s))
    ORDER BY message_no, number
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), e AS (
    INSERT INTO earlier_key_days (order_id, key_day)
    SELECT order_id, under FROM r WHERE may_have_left AND by_day AND under < earliest
    ON CONFLICT DO NOTHING
)
UPDATE orders AS o
SET state = 'sending', sender = %(sender)s, sending_at = greatest(%(now)s, o.made_at),
    key_day = CASE WHEN r.by_day AND r.under < r.earliest THEN r.earliest ELSE o.key_day END
FROM r
WHERE o.order_id = r.order_id AND o.state = 'ready'
RETURNING o.order_id::text, o.message, o.message_no, o.number, o.priority, o.resends AS resend, o.key_day;

-- name: share_files
-- Notes which orders leave in one transport message.
UPDATE orders AS o SET file_id = s.file_id FROM unnest(%b::uuid[], %b::uuid[]) AS s (order_id, file_id) WHERE o.order_id = s.order_id;

-- name: lock_messages
-- Locks messages for this transaction, in sorted order, and returns what their replies are made from, and when something was published of
-- them last; what was asked only where the replies of a source need it.
SELECT m.message_no, m.source, m.partition, m.position, m.key, m.headers, m.scheme,
       CASE WHEN m.source = ANY (%b::text[]) THEN m.body ELSE '' END AS body, m.received_at, m.edition, m.answer,
       greatest(m.received_at, m.derived_at, m.answered_at, m.published_at) AS last_at
FROM messages AS m
JOIN unnest(%b::bigint[]) AS w (message_no) ON w.message_no = m.message_no
ORDER BY m.message_no
FOR UPDATE OF m;

-- name: mark_sent
-- Moves orders from sending, or unknown when the queue says that it has them, to sent; returns those that moved, and whether for the
-- first time. One that a receipt has made unknown meanwhile stays unknown. No sender has it under way any more.
UPDATE orders AS o
SET state = 'sent', sender = NULL, sent_at = coalesce(o.sent_at, s.at)
FROM unnest(%(order_ids)b::uuid[], %(moments)b::timestamptz[]) AS s (order_id, at) JOIN orders AS was ON was.order_id = s.order_id
WHERE o.order_id = s.order_id
  AND ((o.state = 'sending' AND o.sender = %(sender)s) OR (o.state = 'unknown' AND o.sender IS NOT NULL))
RETURNING o.order_id::text, o.message_no, was.sent_at IS NULL AS first_time;

-- name: give_back
-- Makes orders ready again that this sender has begun to send and that for certain are not on the queue.
UPDATE orders AS o SET state = 'ready', sender = NULL, sending_at = NULL, file_id = NULL
FROM unnest(%b::uuid[]) AS s (order_id)
WHERE o.order_id = s.order_id AND o.state = 'sending' AND o.sender = %b
RETURNING o.order_id::text;

-- name: all_with_rail
-- Those of these messages of which no order is left that has not been with the rail.
SELECT w.message_no
FROM unnest(%b::bigint[]) AS w (message_no)
CROSS JOIN LATERAL (
    SELECT bool_and(q.sent_at IS NOT NULL) AS with_rail FROM orders AS q WHERE q.message_no = w.message_no AND NOT q.taken_back
) AS o
WHERE o.with_rail;

-- name: orphans_to_unknown
-- Orders of a rail that a sender which is no more had begun to send: they may have reached the rail or not. Those that somebody else has
-- locked are left for another look.
WITH free AS MATERIALIZED (
    SELECT order_id FROM orders WHERE rail = %(rail)s AND state = 'sending' AND sender <> %(sender)s FOR UPDATE SKIP LOCKED
)
UPDATE orders AS o SET state = 'unknown', was_unknown = true FROM free AS f WHERE o.order_id = f.order_id AND o.state = 'sending'
RETURNING o.order_id::text;

-- name: has_orphans
-- Whether a sender which is no more had begun to send an order of a rail that is not unknown yet.
SELECT EXISTS (SELECT FROM orders WHERE rail = %(rail)s AND state = 'sending' AND sender <> %(sender)s);

-- name: unknown_unsent
-- Unknown orders of a rail that a sender had under way, and of which nobody knows whether that copy of them came to the queue, oldest
-- first; held ones stay unknown, and some are left out. With the id of the transport message that they left in.
SELECT order_id::text, message_no, resends AS resend, coalesce(file_id, order_id)::text AS file_id FROM orders
WHERE rail = %(rail)s AND state = 'unknown' AND sender IS NOT NULL AND held_for = '[]' AND order_id <> ALL (%(but)s::uuid[])
ORDER BY message_no LIMIT %(limit)s;

-- name: unknown_to_sending
-- Takes unknown orders that a sender had under way, to put the same copy of them again; those that somebody else has locked stay. Orders
-- that left in one transport message are taken all or none: of those that were answered the message has arrived.
WITH free AS MATERIALIZED (
    SELECT o.order_id FROM orders AS o JOIN unnest(%(order_ids)b::uuid[]) AS s (order_id) ON o.order_id = s.order_id FOR UPDATE OF o SKIP LOCKED
)
UPDATE orders AS o
SET state = 'sending', sender = %(sender)s, sending_at = greatest(%(now)s, o.made_at)
FROM free AS f
WHERE o.order_id = f.order_id AND o.state = 'unknown' AND o.sender IS NOT NULL AND o.held_for = '[]'
  AND (o.file_id IS NULL OR NOT EXISTS (
      SELECT FROM orders AS m
      WHERE m.file_id = o.file_id
        AND (m.state <> 'unknown' OR m.sender IS NULL OR m.held_for <> '[]' OR m.order_id NOT IN (SELECT order_id FROM free))
  ))
RETURNING o.order_id::text, o.message, o.message_no, o.number, o.priority, o.resends AS resend, o.key_day;

-- name: number_receipts
-- A number for each of what raw receipts say, rising as it came; NULL for what the queue handed out before and is stored.
SELECT CASE WHEN NOT r.is_stored THEN nextval('receipts_receipt_no_seq') END
FROM (
    SELECT EXISTS (SELECT FROM receipts AS q WHERE q.message_id = w.message_id AND q.digest = w.digest AND q.place = w.place) AS is_stored
    FROM unnest(%b::text[], %b::bytea[], %b::integer[]) WITH ORDINALITY AS w (message_id, digest, place, ordinal)
    ORDER BY w.ordinal
    OFFSET 0
) AS r;

-- name: orders_by_id
-- The case, area and correlation key of orders that an answer names by their own ids.
SELECT o.order_id::text, c.scheme, c.case_id, o.area, o.correlation_key
FROM unnest(%b::uuid[]) AS w (order_id) JOIN orders AS o ON o.order_id = w.order_id JOIN cases AS c ON c.case_no = o.case_no;

-- name: orders_for_receipts
-- The orders that receipts may answer: same case, rail, area and correlation key. Newest last. With what the rail said against an order last, unless
-- that was adopted, and whether its state is an operator's word. What was `said` of each is found by itself, and for few rails.
SELECT w.ordinal, o.order_id::text, o.case_no, o.area, o.number, o.message_no, o.state, o.correlation_time, o.is_first_order, o.message, o.person,
       o.was_unknown, o.receipt_no IS NOT NULL AS answered, o.published_under,
       (SELECT k.rails FROM contradictions AS k WHERE k.order_id = o.order_id AND k.resolution IS DISTINCT FROM 'adopted'
        ORDER BY k.contradiction_no DESC LIMIT 1) AS contradicted, o.decided_by_hand, '{}'::text[] AS said
FROM unnest(%b::integer[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bytea[])
     AS w (ordinal, scheme, case_id, rail, area, correlation_key)
JOIN cases AS c ON c.scheme = w.scheme AND c.case_id = w.case_id
JOIN orders AS o ON o.case_no = c.case_no AND o.rail = w.rail AND o.area = w.area AND o.correlation_key = w.correlation_key
ORDER BY w.ordinal, o.number;

-- name: said_of_orders
-- What was said of orders before, oldest first, each with the answer that it stands in.
SELECT r.order_id::text, a.body, r.place
FROM unnest(%b::uuid[]) AS w (order_id)
CROSS JOIN LATERAL (SELECT q.order_id, q.receipt_no, q.place FROM receipts AS q WHERE q.order_id = w.order_id OFFSET 0) AS r
CROSS JOIN LATERAL (SELECT q.body FROM receipt_answers AS q WHERE q.receipt_no = r.receipt_no OFFSET 0) AS a
ORDER BY r.receipt_no;

-- name: settle_orders
-- Moves orders to accepted, rejected or unknown, along legal arcs only; returns those that moved, and whether they were known to be sent
-- before. A receipt proves that the rail had them. One that was unknown and is ready to be sent again may be answered all the same.
UPDATE orders AS o
SET state = s.state, receipt_no = s.receipt_no, sent_at = coalesce(o.sent_at, s.now), was_unknown = o.was_unknown OR s.state = 'unknown',
    decided_by_hand = s.by_hand,
    settled_at = CASE WHEN s.state = 'unknown' THEN NULL ELSE s.now END, sender = NULL
FROM unnest(%b::uuid[], %b::text[], %b::bigint[], %b::timestamptz[], %b::boolean[]) AS s (order_id, state, receipt_no, now, by_hand)
JOIN orders AS was ON was.order_id = s.order_id
WHERE o.order_id = s.order_id
  AND (o.state IN ('sending', 'sent') OR (o.state = 'ready' AND o.was_unknown)
       OR (o.state = 'unknown' AND (s.state IN ('accepted', 'rejected') OR o.sent_at IS NULL)))
RETURNING o.order_id::text, was.sent_at IS NOT NULL AS was_sent;

-- name: sent_to_unknown
-- Orders of which the rail refused a copy, and which wait for a receipt that may never come, are unknown: a person may have to decide.
UPDATE orders SET state = 'unknown', was_unknown = true WHERE order_id = ANY (%b::uuid[]) AND state = 'sent'
RETURNING order_id::text;

-- name: progress_of_messages
-- Of these messages: how many of their orders are still open, and whether all have been with the rail.
SELECT w.message_no, o.still_open, o.with_rail
FROM unnest(%b::bigint[]) AS w (message_no)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.state IN ('ready', 'sending', 'sent', 'unknown')) AS still_open, bool_and(q.sent_at IS NOT NULL) AS with_rail
    FROM orders AS q
    WHERE q.message_no = w.message_no AND NOT q.taken_back
) AS o
WHERE o.with_rail IS NOT NULL;

-- name: supersede_payments
-- The versions that hold until now of payments that these accepted orders change.
-- OFFSET 0 keeps the lookup per payment: as a join it would read the index of all payments that hold.
UPDATE payments AS old
SET superseded = true
FROM unnest(%b::uuid[]) AS w (order_id)
CROSS JOIN LATERAL (SELECT n.case_no, n.payment_id FROM payments AS n WHERE n.order_id = w.order_id AND n.state = 'pending' OFFSET 0) AS new
CROSS JOIN LATERAL (
    SELECT h.case_no, h.payment_id, h.version FROM payments AS h
    WHERE h.case_no = new.case_no AND h.payment_id = new.payment_id AND h.state = 'accepted' AND NOT h.superseded
    OFFSET 0
) AS held
WHERE old.case_no = held.case_no AND old.payment_id = held.payment_id AND old.version = held.version;

-- name: accept_payments
-- The pending versions of accepted orders become the truth; returns them, with their places in their orders.
UPDATE payments SET state = 'accepted' WHERE order_id = ANY (%b::uuid[]) AND state = 'pending'
RETURNING order_id::text, position, payment_id::text, version, document;

-- name: drop_payments
-- The pending versions of rejected orders will never be; returns them, with their places in their orders.
UPDATE payments SET state = 'dropped' WHERE order_id = ANY (%b::uuid[]) AND state = 'pending'
RETURNING order_id::text, position, payment_id::text, version, document;

-- name: pending_payments
-- The pending versions of orders of which a receipt says nothing certain, with their places in their orders.
SELECT order_id::text, position, payment_id::text, version, document FROM payments WHERE order_id = ANY (%b::uuid[]) AND state = 'pending';

-- name: case_lists
-- The payment ids of cases in the order in which they joined, ceased ones left out; a case without any has an empty list.
SELECT c.case_no, p.payment_ids
FROM unnest(%b::bigint[]) AS c (case_no)
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(q.payment_id::text ORDER BY q.position_in_case), '{}') AS payment_ids
    FROM payments AS q
    WHERE q.case_no = c.case_no AND q.state = 'accepted' AND NOT q.superseded AND q.action <> 'DELETE'
) AS p
ORDER BY c.case_no;

-- name: orders_of_messages
-- The orders of messages, for contracts whose answers are made from them.
SELECT w.message_no, o.order_id::text, o.reconciliation_key, o.made_at, o.message
FROM unnest(%b::bigint[]) AS w (message_no)
CROSS JOIN LATERAL (
    SELECT q.order_id, q.number, q.reconciliation_key, q.made_at, q.message FROM orders AS q
    WHERE q.message_no = w.message_no AND NOT q.taken_back OFFSET 0
) AS o
ORDER BY w.message_no, o.number;
