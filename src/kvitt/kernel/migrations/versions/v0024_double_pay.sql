-- Orders are held by what they would have paid twice, day by day. Older ones were judged by equal lines, and are not judged again.

ALTER TABLE orders ADD COLUMN guard smallint NOT NULL DEFAULT 1;
ALTER TABLE orders ALTER COLUMN guard SET DEFAULT 2;
COMMENT ON COLUMN orders.guard IS 'The edition of the rules by which it was held or let go.';

CREATE INDEX orders_rail_may_have ON orders (case_no) WHERE state IN ('rejected', 'withdrawn') AND (decided_by_hand OR resends > 0);
COMMENT ON INDEX orders_rail_may_have IS 'They count as rejected or taken back, by an operator''s word or by the answer to one of several copies, and the rail may pay them.';
