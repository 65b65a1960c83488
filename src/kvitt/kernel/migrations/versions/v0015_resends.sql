-- A deliberate resend is a copy of its own: how often operators had an order sent again, and how often the emulator answered again.

ALTER TABLE orders ADD COLUMN resends integer NOT NULL DEFAULT 0 CHECK (resends >= 0);
COMMENT ON COLUMN orders.resends IS 'How often operators have had it sent once more; each copy is a message of its own to the queue.';
UPDATE orders AS o SET resends = r.times
FROM (SELECT note::json ->> 'subject' AS order_id, count(*) AS times FROM audit WHERE chain = 0 AND what = 'resend' GROUP BY 1) AS r
WHERE o.order_id = r.order_id::uuid;

COMMENT ON COLUMN orders.sender IS 'Who has a copy of it under way: begun to put, and not known to have come to the queue.';
UPDATE orders SET sender = NULL WHERE state IN ('sent', 'unknown') AND sent_at IS NOT NULL;

ALTER TABLE rail.receipt ADD COLUMN resends integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN rail.receipt.resends IS 'how often an order that was put anew has had it leave once more';
