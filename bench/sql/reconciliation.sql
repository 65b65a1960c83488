-- Statements that make a day of orders for reconciliation.

-- name: answer
-- A receipt for every order but the template's; of a thousand orders five are refused, three accepted with a note, and two not answered.
WITH r AS (
    INSERT INTO receipts (rail, message_id, digest, place, body, received_at, order_id, severity, code, outcome, note)
    SELECT t.rail, 'filled-' || o.case_no, t.digest, 0, t.body, t.received_at, o.order_id,
           CASE WHEN o.case_no %% 1000 < 5 THEN '08' WHEN o.case_no %% 1000 < 8 THEN '04' ELSE '00' END,
           CASE WHEN o.case_no %% 1000 < 8 THEN 'B110008F' ELSE '' END,
           CASE WHEN o.case_no %% 1000 < 5 THEN 'rejected' ELSE 'accepted' END, CASE WHEN o.case_no %% 1000 < 8 THEN 'Oppdraget finnes fra før' ELSE '' END
    FROM orders AS o CROSS JOIN (SELECT * FROM receipts LIMIT 1) AS t
    WHERE o.case_no <> %(template)s AND o.case_no %% 1000 NOT IN (8, 9)
    RETURNING receipt_no, order_id, outcome
)
UPDATE orders AS o SET receipt_no = r.receipt_no, state = r.outcome FROM r WHERE r.order_id = o.order_id;

-- name: made_on
-- All orders are of one day; those without a receipt wait for it.
UPDATE orders SET day = %(day)s, state = CASE WHEN receipt_no IS NULL THEN 'sent' ELSE state END;

-- name: move_on
-- All orders are of the day after, so that the next run is about as many.
UPDATE orders SET day = day + 1;
