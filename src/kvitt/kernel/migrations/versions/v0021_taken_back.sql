-- When the rail's word about an order is adopted, orders that were derived against what stood before are taken back, and their messages
-- wait to be derived again.

ALTER TABLE orders ADD COLUMN taken_back boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN orders.taken_back IS 'Withdrawn so that its message is derived again: it is no order of the message any more.';
