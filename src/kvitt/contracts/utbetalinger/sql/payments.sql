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

-- name: version_before_move
-- The newest version that a payment of this contract had before its case went on in another one, with the answer of the call that made it.
SELECT c.scheme, c.case_id, v.state, v.document, m.message_no, m.answer
FROM (
    SELECT w.case_no FROM moved_payments AS w WHERE w.payment_id = %(payment_id)s
    UNION
    SELECT p.case_no FROM payments AS p
    WHERE p.payment_id = %(payment_id)s AND p.client_chose AND p.state = 'accepted' AND NOT p.superseded
) AS k
JOIN cases AS c ON c.case_no = k.case_no
CROSS JOIN LATERAL (SELECT min(w.version) AS version FROM moved_payments AS w WHERE w.case_no = c.case_no AND w.contract = c.contract) AS f
JOIN payments AS v ON v.case_no = c.case_no AND v.payment_id = %(payment_id)s AND v.version < f.version AND v.client_chose
LEFT JOIN orders AS o ON o.order_id = v.order_id
LEFT JOIN messages AS m ON m.message_no = o.message_no
WHERE c.contract <> %(contract)s
ORDER BY m.message_no DESC NULLS LAST LIMIT 1;

-- name: cases_of_payments
-- The cases that have these payments: their contract's, or such as were moved from it, all or in part. One that the rail never took is in none.
SELECT p.payment_id::text, c.scheme, c.case_id
FROM payments AS p
JOIN cases AS c ON c.case_no = p.case_no
WHERE p.payment_id = ANY (%(payment_ids)s::uuid[]) AND p.client_chose
  AND (p.state = 'pending' OR (p.state = 'accepted' AND NOT p.superseded)) 
  AND (c.contract = %(owner)s OR EXISTS (SELECT FROM moved_payments AS v WHERE v.case_no = c.case_no AND v.contract = c.contract AND c.contract = %(moved_to)s))
UNION
SELECT m.payment_id::text, c.scheme, c.case_id
FROM moved_payments AS m
JOIN cases AS c ON c.case_no = m.case_no
WHERE m.payment_id = ANY (%(payment_ids)s::uuid[]) AND m.contract = %(moved_to)s AND c.contract = %(moved_to)s;

-- name: newest_correction
-- The answer of the last call that corrected a hold-back of a payment; one that was refused at once corrected nothing.
SELECT m.answer
FROM cases AS c
JOIN decisions AS d ON d.case_no = c.case_no
JOIN messages AS m ON m.message_no = d.message_no
WHERE (c.scheme, c.case_id) = (%(scheme)s, %(case_id)s) AND (d.contract, d.operation) = (%(contract)s, 'avvent')
  AND d.outcome IN ('ordered', 'queued') AND m.key = %(key)s
ORDER BY d.message_no DESC LIMIT 1;
