-- name: open_checks
-- The checks of orders that are still to end, under the locks of the orders, with what decides: whether it is held for that, and when the
-- case's last order in the area was accepted. A message of which something has left is not refused any more by what was seen.
SELECT k.order_id::text, k.message_no, k.mode, k.most_recovered, k.waits,
       CASE WHEN NOT EXISTS (SELECT FROM orders AS s WHERE s.message_no = k.message_no AND s.state NOT IN ('ready', 'withdrawn')) THEN k.seen END AS seen,
       o.area, o.is_first_order, o.held_for::text,
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
    compared_by = %(compared_by)s,
    differences = e.differences::jsonb, picture = e.picture::jsonb, note = e.note, due_at = NULL, waits_for = NULL
FROM unnest(%(orders)s::uuid[], %(findings)s::text[], %(posted)s::boolean[], %(recovered)s::bigint[], %(differences)s::text[],
            %(pictures)s::text[], %(notes)s::text[]) AS e (order_id, finding, posted, recovered, differences, picture, note)
WHERE k.order_id = e.order_id;

-- name: hold_orders
-- Orders are held for these reasons from now on, or for none, and leave no later than then, if that is set.
UPDATE orders AS o SET held_for = h.held_for::jsonb, leaves_before = h.leaves_before
FROM unnest(%(orders)s::uuid[], %(held_for)s::text[], %(leaves_before)s::timestamptz[]) AS h (order_id, held_for, leaves_before)
WHERE o.order_id = h.order_id;

-- name: wait_for_rail
-- Checks go on to wait, and are due again at a time.
UPDATE order_checks SET due_at = %(due_at)s, waits_for = %(waits_for)s WHERE order_id = ANY (%(orders)s::uuid[]);

-- name: cases_of_old_agreements
-- Cases with an order that leaves by what the rail said of it too long ago.
SELECT DISTINCT c.scheme, c.case_id FROM (
    SELECT o.case_no FROM orders AS o
    WHERE o.state = 'ready' AND o.held_for = '[]' AND o.leaves_before <= %(now)s
    ORDER BY o.leaves_before
    LIMIT %(limit)s
) AS o
JOIN cases AS c ON c.case_no = o.case_no;

-- name: take_back_agreements
-- Orders of these cases of which the rail was asked too long ago, and with them those of the same messages, are to be simulated once more;
-- what was found is kept. Under the locks of the cases; what a sender has just taken is left.
WITH old AS MATERIALIZED (
    SELECT o.order_id FROM orders AS o
    WHERE o.case_no = ANY (%(cases)b::bigint[]) AND o.state = 'ready' AND o.held_for = '[]' AND o.leaves_before IS NOT NULL
      AND EXISTS (SELECT FROM orders AS e
                  WHERE e.message_no = o.message_no AND e.state = 'ready' AND e.held_for = '[]' AND e.leaves_before <= %(now)s)
    FOR UPDATE OF o SKIP LOCKED
), kept AS (
    INSERT INTO earlier_order_checks (order_id, times_asked, ended_at, finding, request_no, checked_on, posted, compared_by, recovered,
                                      differences, picture, note)
    SELECT k.order_id, k.times_asked, k.ended_at, k.finding, k.request_no, k.checked_on, k.posted, k.compared_by, k.recovered,
           k.differences, k.picture, k.note
    FROM old JOIN order_checks AS k ON k.order_id = old.order_id
), again AS (
    UPDATE order_checks AS k
    SET ended_at = NULL, finding = NULL, request_no = NULL, checked_on = NULL, posted = NULL, recovered = NULL, differences = NULL,
        picture = NULL, note = NULL, due_at = %(now)s, waits_for = %(waits_for)s
    FROM old WHERE k.order_id = old.order_id
)
UPDATE orders AS o SET held_for = jsonb_build_array(%(unchecked)s::jsonb), leaves_before = NULL
FROM old WHERE o.order_id = old.order_id
RETURNING o.order_id::text, o.case_no, o.message_no;

-- name: forget_ended_work
-- Questions that the rail must be done with by now keep no order of their cases any more.
UPDATE simulation_requests SET at_work_until = NULL WHERE at_work_until <= %(now)s;

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
