-- name: standings
-- The newest need of each identity, with how far it has come and what was told last; its message is locked, so that nothing else is told
-- of it meanwhile.
SELECT w.ordinal, n.message_no, n.digest, m.state, m.answer
FROM unnest(%b::integer[], %b::bigint[], %b::text[], %b::uuid[]) AS w (ordinal, case_no, person, payment_id)
CROSS JOIN LATERAL (
    SELECT q.message_no, q.digest FROM needs AS q
    WHERE q.case_no = w.case_no AND q.person = w.person AND q.payment_id = w.payment_id
    ORDER BY q.message_no DESC LIMIT 1
) AS n
JOIN messages AS m ON m.message_no = n.message_no
ORDER BY m.message_no
FOR UPDATE OF m;

-- name: accepted_lines
-- The lines of the accepted orders of cases, as their senders made them, oldest first; and those of orders that count as rejected and that
-- the rail may have, which are not certain.
SELECT o.case_no, l.line_id, l.refers_to, l.class_code, l.start_on, l.end_on, l.amount, l.ceased_from, o.certain
FROM unnest(%b::bigint[]) AS w (case_no)
CROSS JOIN LATERAL (
    SELECT q.case_no, q.order_id, q.number, q.state = 'accepted' AS certain FROM orders AS q
    WHERE q.case_no = w.case_no AND (q.state = 'accepted' OR (q.state IN ('rejected', 'withdrawn') AND (q.decided_by_hand OR q.resends > 0)))
    OFFSET 0
) AS o
JOIN order_lines AS l ON l.order_id = o.order_id
ORDER BY o.case_no, o.number, l.position;

-- name: orders_of_needs
-- The forwarded orders of messages: what is told about them besides the message itself.
SELECT w.message_no, o.order_id::text, o.reconciliation_key, o.made_at, o.message
FROM unnest(%b::bigint[]) AS w (message_no)
CROSS JOIN LATERAL (
    SELECT q.order_id, q.reconciliation_key, q.made_at, q.message FROM orders AS q
    WHERE q.message_no = w.message_no AND NOT q.taken_back OFFSET 0
) AS o
WHERE o.reconciliation_key IS NOT NULL;
