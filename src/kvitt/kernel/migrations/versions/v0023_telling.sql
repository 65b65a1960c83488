-- What is told of orders: each under a key of its own, its payments as they stand in it. What was told before stays as it was told.

ALTER TABLE orders ADD COLUMN told_under bytea;
COMMENT ON COLUMN orders.told_under IS 'The key of its records on the order topic, which is compacted by key; null: the sender''s own.';

ALTER TABLE payments ADD COLUMN position integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN payments.position IS 'The place of this version among the payments of its order, from 0.';

-- Lines stand in an order payment by payment; what was taken over from another hub has an order without lines.
UPDATE payments AS p SET position = l.place
FROM (
    SELECT order_id, payment_id, row_number() OVER (PARTITION BY order_id ORDER BY min(position)) - 1 AS place
    FROM order_lines
    WHERE NOT forwarded
    GROUP BY order_id, payment_id
) AS l
WHERE p.order_id = l.order_id AND p.payment_id = l.payment_id AND l.place > 0;
UPDATE payments AS p SET position = l.place
FROM (
    SELECT case_no, payment_id, row_number() OVER (PARTITION BY case_no ORDER BY listed, payment_id) - 1 AS place
    FROM payments
    WHERE version = 0
) AS l
WHERE p.version = 0 AND p.case_no = l.case_no AND p.payment_id = l.payment_id AND l.place > 0;

CREATE TABLE telling (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since    bigint  NOT NULL
);
INSERT INTO telling (since) SELECT coalesce(max(outbox_no), 0) + 1 FROM outbox;
COMMENT ON TABLE telling IS 'Records of the outbox below this number were told before orders had keys of their own: `kvitt check` allows them other forms.';
