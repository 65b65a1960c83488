-- An order that was once in doubt may be at the rail whatever is done with it afterwards, and that is never forgotten.

ALTER TABLE orders ADD COLUMN doubtful boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN orders.doubtful IS 'It was unknown at some time: a copy may be at the rail, even while it is ready to be sent again.';
UPDATE orders SET doubtful = true WHERE state = 'unknown';
