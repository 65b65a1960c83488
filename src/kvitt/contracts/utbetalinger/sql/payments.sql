-- What is asked of single payments.

-- name: versions
-- The versions of a payment of this contract that matter, newest first: the pending one, the accepted one, and the last one that the rail
-- did not take; each with the answer of the call that made it. One that was moved here was made by no call, and is older than all calls.
SELECT c.scheme, c.case_id, v.state, v.document, m.message_no, m.answer
FROM (
    (
        SELECT p.case_no, p.order_id, p.state, p.document FROM payments AS p
        WHERE p.payment_id = %(payment_id)s AND p.client_chose AND p.state = 'pending'
    )
    UNION ALL
    (
        SELECT p.case_no, p.order_id, p.state, p.document FROM payments AS p
        WHERE p.payment_id = %(payment_id)s AND p.client_chose AND p.state = 'accepted' AND NOT p.superseded
    )
    UNION ALL
    (
        SELECT p.case_no, p.order_id, p.state, p.document FROM payments AS p
        JOIN orders AS q ON q.order_id = p.order_id
        WHERE p.payment_id = %(payment_id)s AND p.client_chose AND p.state = 'dropped'
        ORDER BY q.message_no DESC LIMIT 1
    )
) AS v
JOIN cases AS c ON c.case_no = v.case_no
LEFT JOIN orders AS o ON o.order_id = v.order_id
LEFT JOIN messages AS m ON m.message_no = o.message_no
WHERE c.contract = %(contract)s
ORDER BY m.message_no DESC NULLS LAST;
