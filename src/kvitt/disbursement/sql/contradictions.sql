-- Contradictions: what the rail said against what stands, and what two people made of it.

-- name: open_contradictions
-- Opens contradictions; an order that has an open one keeps it.
INSERT INTO contradictions (case_no, order_id, receipt_no, ours, rails, found_at)
SELECT k.case_no, k.order_id, k.receipt_no, k.ours, k.rails, k.found_at
FROM unnest(%b::bigint[], %b::uuid[], %b::bigint[], %b::text[], %b::text[], %b::timestamptz[])
     WITH ORDINALITY AS k (case_no, order_id, receipt_no, ours, rails, found_at, place)
ORDER BY k.place;

-- name: hold_orders
-- Holds the open orders of cases for a reason that they may have already: also those on their way, which may come back to be sent again.
UPDATE orders AS o
SET held_for = o.held_for || r.reason
FROM unnest(%b::bigint[]) AS w (case_no), (SELECT jsonb_build_array(%b::text::jsonb)) AS r (reason)
WHERE o.case_no = w.case_no AND o.state IN ('ready', 'sending', 'sent', 'unknown') AND NOT o.held_for @> r.reason;

-- name: contradiction_of_order
-- The newest contradiction of an order with its receipt, open or not; no row: there never was one.
SELECT k.contradiction_no, k.receipt_no, k.ours, k.rails, k.resolved_at, k.resolution, k.resolved_by, r.body, r.place
FROM contradictions AS k LEFT JOIN receipt_answers AS r ON r.receipt_no = k.receipt_no
WHERE k.order_id = %s
ORDER BY k.contradiction_no DESC
LIMIT 1;

-- name: order_to_turn
-- The order that a contradiction is about.
SELECT order_id::text, case_no, area, number, message_no, state, correlation_time, is_first_order, message, person, was_unknown,
       receipt_no IS NOT NULL AS answered, published_under, NULL::text AS contradicted, decided_by_hand, '{}'::text[] AS said
FROM orders WHERE order_id = %s;

-- name: open_orders_of_case
-- The open orders of a case, and whether each may have left.
SELECT order_id::text, number, message_no, state, was_unknown OR sent_at IS NOT NULL OR state <> 'ready' AS may_have_left, message
FROM orders
WHERE case_no = %s AND state IN ('ready', 'sending', 'sent', 'unknown')
ORDER BY number;

-- name: left_of_messages
-- Of these messages: an order that has left or is settled, if there is any, with one that has not left.
SELECT q.message_no, max(q.order_id::text) FILTER (WHERE NOT w.ready) AS has_left, max(q.order_id::text) FILTER (WHERE w.ready) AS has_not_left
FROM orders AS q
CROSS JOIN LATERAL (SELECT q.state = 'ready' AND NOT q.was_unknown AND q.sent_at IS NULL AS ready) AS w
WHERE q.message_no = ANY (%s::bigint[]) AND NOT q.taken_back
GROUP BY q.message_no
HAVING bool_or(NOT w.ready);

-- name: later_versions
-- Accepted orders that made later versions of the payments of an order, newest first.
SELECT o.order_id::text
FROM payments AS mine
JOIN payments AS later ON later.case_no = mine.case_no AND later.payment_id = mine.payment_id AND later.version > mine.version
JOIN orders AS o ON o.order_id = later.order_id
WHERE mine.order_id = %(order_id)s AND later.state = 'accepted'
GROUP BY o.order_id, o.number
ORDER BY o.number DESC;

-- name: later_lines
-- Accepted orders of the case that refer to lines of an order, or name them, and whether one of them makes such a line anew; newest first.
SELECT o.order_id::text, bool_or(l.ceased_from IS NULL AND l.line_id = was.line_id) AS makes_anew
FROM orders AS mine
JOIN orders AS o ON o.case_no = mine.case_no AND o.area = mine.area AND o.number > mine.number AND o.state = 'accepted'
JOIN order_lines AS l ON l.order_id = o.order_id
JOIN order_lines AS was ON was.order_id = mine.order_id AND was.ceased_from IS NULL
WHERE mine.order_id = %(order_id)s AND was.line_id IN (l.refers_to, l.line_id)
GROUP BY o.order_id, o.number
ORDER BY o.number DESC;

-- name: turn_order
-- Makes the rail's word about an order ours, where an open contradiction says so; returns whether the order was known to have left.
-- One that had been taken back is reported by now: no run that has passed over its day has looked at it (reports_open).
WITH turned AS (
    UPDATE orders AS o
    SET state = k.rails, receipt_no = k.receipt_no, settled_at = %(now)s, sent_at = coalesce(o.sent_at, %(now)s), decided_by_hand = false
    FROM contradictions AS k JOIN orders AS was ON was.order_id = k.order_id
    WHERE o.order_id = %(order_id)s AND k.order_id = o.order_id AND k.resolved_at IS NULL AND o.state = k.ours
      AND (o.state, k.rails) IN (('rejected', 'accepted'), ('withdrawn', 'accepted'), ('accepted', 'rejected'))
    RETURNING o.order_id, o.rail, o.area, o.reconciliation_key, was.state AS ours, was.sent_at IS NOT NULL AS had_left
), opened AS (
    INSERT INTO reports_open (order_id, rail, area)
    SELECT order_id, rail, area FROM turned WHERE ours = 'withdrawn' AND reconciliation_key IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT had_left FROM turned;

-- name: keep_order
-- From now on what stands of an order is the word of people: the rail has said otherwise.
UPDATE orders AS o SET decided_by_hand = true
FROM contradictions AS k
WHERE o.order_id = %s AND k.order_id = o.order_id AND k.resolved_at IS NULL AND o.state = k.ours
RETURNING o.order_id;

-- name: supersede_by_dropped
-- The versions that hold until now of payments that the dropped versions of an order change.
UPDATE payments AS old
SET superseded = true
FROM payments AS new
WHERE new.order_id = %s AND new.state = 'dropped' AND old.case_no = new.case_no AND old.payment_id = new.payment_id
  AND old.state = 'accepted' AND NOT old.superseded;

-- name: accept_dropped
-- The dropped versions of an order become the truth; returns them, with their places in it.
UPDATE payments SET state = 'accepted' WHERE order_id = %s AND state = 'dropped'
RETURNING position, payment_id::text, version, document;

-- name: drop_accepted
-- The accepted versions of an order are no longer the truth; returns them, with their places in it.
UPDATE payments SET state = 'dropped', superseded = false WHERE order_id = %s AND state = 'accepted'
RETURNING position, payment_id::text, version, document;

-- name: hold_again
-- The newest accepted versions of payments of which none holds now hold again; returns them.
UPDATE payments AS p SET superseded = false
FROM (
    SELECT q.payment_id, max(q.version) AS version FROM payments AS q
    WHERE q.case_no = %(case_no)s AND q.payment_id = ANY (%(payment_ids)s::uuid[]) AND q.state = 'accepted'
    GROUP BY q.payment_id
) AS n
WHERE p.case_no = %(case_no)s AND p.payment_id = n.payment_id AND p.version = n.version
RETURNING p.payment_id::text, p.version, p.document;

-- name: known_otherwise
-- Whether the rail knows a case in an area, and whether it knows it at all, by other accepted orders or by what was taken over.
SELECT EXISTS (SELECT FROM orders AS o WHERE o.case_no = %(case_no)s AND o.state = 'accepted' AND o.area = %(area)s) AS in_area,
       EXISTS (SELECT FROM orders AS o WHERE o.case_no = %(case_no)s AND o.state = 'accepted')
       OR EXISTS (SELECT FROM payments AS p WHERE p.case_no = %(case_no)s AND p.version = 0) AS at_all;

-- name: outcomes_of_message
-- The orders of a message in their order, with the receipts that settled them.
SELECT o.area, o.state, r.body, r.place
FROM orders AS o LEFT JOIN receipt_answers AS r ON r.receipt_no = o.receipt_no
WHERE o.message_no = %s AND NOT o.taken_back
ORDER BY o.number;

-- name: correct_answer
-- The final answer of a message is another one from now on.
UPDATE messages SET answer = %s WHERE message_no = %s AND state = 'answered';

-- name: take_back
-- Withdraws orders that have never left, so that their messages are derived again; a row for each that could be.
UPDATE orders SET state = 'withdrawn', taken_back = true, settled_at = %(now)s
WHERE order_id = ANY (%(order_ids)s::uuid[]) AND state = 'ready' AND NOT was_unknown AND sent_at IS NULL
RETURNING order_id::text;

-- name: requeue
-- Messages wait in their case's queue again.
UPDATE messages SET state = 'queued', derived_at = NULL WHERE message_no = ANY (%s::bigint[]) AND state = 'derived' RETURNING message_no;

-- name: free_orders
-- Orders of a case are no longer held for a reason.
UPDATE orders AS o
SET held_for = (SELECT coalesce(jsonb_agg(r.reason ORDER BY r.place), '[]')
                FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)
                WHERE r.reason <> %(reason)s::jsonb)
WHERE o.case_no = %(case_no)s AND o.held_for @> jsonb_build_array(%(reason)s::jsonb);

-- name: resolve
-- Closes an open contradiction; no row: somebody has closed it.
UPDATE contradictions
SET resolved_at = %(now)s, resolution = %(resolution)s, resolved_by = %(by)s, approved_by = %(approved_by)s, reason = %(reason)s
WHERE contradiction_no = %(contradiction_no)s AND resolved_at IS NULL
RETURNING contradiction_no;
