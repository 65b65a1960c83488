-- name: orders_in_words
-- The open orders of a case and those that are named, with why they are held, the receipt that settled them and the last word of a bank.
SELECT o.order_id, o.number, o.area, o.rail, o.state, o.is_held,
       (SELECT string_agg(r.reason ->> 'text', '; ' ORDER BY r.place) FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)
        WHERE o.state IN ('ready', 'sending', 'sent', 'unknown')) AS held_for,
       o.made_at, o.sending_at, o.sent_at, o.settled_at, o.decided_by_hand, o.rail_says, o.receipt_no, r.code, r.note,
       b.outcome AS bank_says, b.received_at AS bank_said_at, b.receipt_no AS bank_receipt_no
FROM kvitt_views.orders AS o
LEFT JOIN kvitt_views.receipts AS r ON r.receipt_no = o.receipt_no
LEFT JOIN LATERAL (
    SELECT w.outcome, w.received_at, w.receipt_no FROM kvitt_views.receipts AS w
    WHERE w.order_id = o.order_id AND w.outcome IN ('settled', 'returned', 'cancelled')
    ORDER BY w.receipt_no DESC LIMIT 1
) AS b ON true
WHERE o.case_no = %(case_no)s
  AND (o.state IN ('ready', 'sending', 'sent', 'unknown') OR o.rail_says IS NOT NULL OR o.order_id = ANY (%(order_ids)s::uuid[]))
ORDER BY o.number DESC
LIMIT %(limit)s;

-- name: queued
-- The messages of a case that wait for their turn, as they will be handled. They are found by the case: beside their state the index of all
-- that is unanswered looks smaller than it may be by now.
SELECT m.message_no, m.received_at
FROM (SELECT message_no, received_at, state FROM kvitt_views.messages WHERE case_no = %(case_no)s OFFSET 0) AS m
WHERE m.state = 'queued' ORDER BY m.message_no LIMIT %(limit)s;

-- name: deferred
-- What came while somebody else had locked the case.
SELECT what, came_at FROM kvitt_views.deferred
WHERE scheme = %(scheme)s AND case_id = %(case_id)s ORDER BY deferred_no LIMIT %(limit)s;
