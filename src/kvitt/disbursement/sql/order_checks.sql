-- name: open_checks
-- The checks of orders that are still to end, under the locks of the orders, with what decides: whether it is held for that, and when the
-- case's last order in the area was accepted.
SELECT k.order_id::text, k.message_no, k.mode, k.most_recovered, k.waits, k.seen, o.area, o.is_first_order, o.held_for::text,
       (SELECT max(a.settled_at) FROM orders AS a WHERE a.case_no = o.case_no AND a.area = o.area AND a.state = 'accepted') AS accepted_at
FROM unnest(%b::uuid[]) AS w (order_id)
JOIN order_checks AS k ON k.order_id = w.order_id
JOIN orders AS o ON o.order_id = w.order_id
WHERE k.ended_at IS NULL AND o.state = 'ready'
ORDER BY o.number
FOR UPDATE OF o;

-- name: payments_of_orders
-- The pending versions of payments of orders, in their places.
SELECT p.order_id::text, p.document FROM payments AS p WHERE p.order_id = ANY (%b::uuid[]) AND p.state = 'pending' ORDER BY p.order_id, p.position;

-- name: lines_of_orders
-- The lines of orders whose senders made them, in their places.
SELECT l.order_id::text, l.line_id, l.refers_to, l.class_code, l.start_on AS start, l.end_on AS "end", l.amount, l.ceased_from, true AS certain
FROM order_lines AS l WHERE l.order_id = ANY (%b::uuid[]) ORDER BY l.order_id, l.position;

-- name: end_checks
-- Checks end with what was found.
UPDATE order_checks AS k
SET ended_at = %(now)s, finding = e.finding, request_no = %(request_no)s, checked_on = %(today)s, posted = e.posted, recovered = e.recovered,
    differences = e.differences::jsonb, picture = e.picture::jsonb, note = e.note, due_at = NULL, waits_for = NULL
FROM unnest(%(orders)s::uuid[], %(findings)s::text[], %(posted)s::boolean[], %(recovered)s::bigint[], %(differences)s::text[],
            %(pictures)s::text[], %(notes)s::text[]) AS e (order_id, finding, posted, recovered, differences, picture, note)
WHERE k.order_id = e.order_id;

-- name: hold_orders
-- Orders are held for these reasons from now on, or for none.
UPDATE orders AS o SET held_for = h.held_for::jsonb
FROM unnest(%(orders)s::uuid[], %(held_for)s::text[]) AS h (order_id, held_for)
WHERE o.order_id = h.order_id;

-- name: wait_for_rail
-- Checks go on to wait, and are due again at a time.
UPDATE order_checks SET due_at = %(due_at)s, waits_for = %(waits_for)s WHERE order_id = ANY (%(orders)s::uuid[]);

-- name: due_checks
-- Checks of a rail that are due, oldest first, of orders that nothing else holds; those that somebody else has locked are passed by.
SELECT k.order_id::text, k.case_no, k.message_no, k.question, k.times_asked, o.area, o.person, m.source
FROM order_checks AS k
JOIN orders AS o ON o.order_id = k.order_id
JOIN messages AS m ON m.message_no = k.message_no
WHERE k.due_at <= %(now)s AND o.rail = %(rail)s AND o.state = 'ready' AND o.held_for = jsonb_build_array(%(unchecked)s::jsonb)
ORDER BY k.due_at, k.message_no, o.number
LIMIT %(limit)s
FOR UPDATE OF k SKIP LOCKED;

-- name: ask_due
-- Requests were made for these.
UPDATE order_checks SET times_asked = times_asked + 1, due_at = NULL WHERE order_id = ANY (%(orders)s::uuid[]);

-- name: skip_check
-- An operator lets an order go unchecked: a request that nobody has begun to ask is not asked any more.
WITH skipped AS (
    UPDATE order_checks SET ended_at = %(now)s, finding = 'skipped', due_at = NULL, waits_for = NULL
    WHERE order_id = %(order_id)s AND ended_at IS NULL
    RETURNING order_id
)
UPDATE simulation_requests AS r SET state = 'failed', ended_at = %(now)s, reason = 'not asked', note = 'released by hand'
FROM skipped AS s JOIN simulation_questions AS q ON q.order_id = s.order_id
WHERE r.request_no = q.request_no AND r.state = 'requested'
  AND NOT EXISTS (SELECT FROM simulation_questions AS p WHERE p.request_no = r.request_no AND p.order_id <> s.order_id);

-- name: seen_simulation
-- The newest simulation that a dry run of a case under a key was answered with before a message, and whether the case has had another order
-- since.
SELECT r.request_no, r.requested_at,
       (SELECT count(*) FROM orders AS o WHERE o.case_no = r.case_no AND o.made_at >= r.requested_at AND o.message_no <> %(message_no)s) AS orders_since
FROM simulation_requests AS r JOIN messages AS m ON m.message_no = r.message_no
WHERE r.case_no = %(case_no)s AND r.asker = 'message' AND r.state = 'answered' AND m.key = %(key)s AND r.message_no < %(message_no)s
ORDER BY r.request_no DESC
LIMIT 1;

-- name: refuse_orders
-- Takes back the orders of a message, none of which has left, for the simulation that its sender named; returns them.
WITH back AS (
    UPDATE orders SET state = 'withdrawn', settled_at = %(now)s
    WHERE message_no = %(message_no)s AND state = 'ready' AND NOT was_unknown AND sent_at IS NULL AND NOT taken_back
    RETURNING order_id, number, area
), refused AS (
    UPDATE order_checks AS k
    SET refusal = %(refusal)s, due_at = NULL, ended_at = coalesce(k.ended_at, %(now)s), finding = coalesce(k.finding, 'skipped')
    FROM back AS b WHERE k.order_id = b.order_id
)
SELECT order_id::text, number, area FROM back ORDER BY number;
