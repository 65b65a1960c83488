-- name: accepted_payments
-- The payments that hold now, ceased ones too, by area and case in the order of code points, as the rail's books are read. What left on
-- another rail is not in these books.
SELECT p.area, c.case_id, p.payment_id::text, p.document
FROM payments AS p
JOIN cases AS c ON c.case_no = p.case_no
WHERE p.state = 'accepted' AND NOT p.superseded
  AND NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = p.order_id AND o.rail <> 'oppdrag')
ORDER BY p.area COLLATE "C", c.case_id COLLATE "C", p.position_in_case;

-- name: cases_in_motion
-- The areas and cases that have an order without a receipt: the rail may be ahead of the store there.
SELECT DISTINCT o.area, c.case_id
FROM orders AS o
JOIN cases AS c ON c.case_no = o.case_no
WHERE o.state IN ('ready', 'sending', 'sent', 'unknown');
