-- Equal amounts hold an order whatever they are paid by: day, month or once. Older orders were judged otherwise, and are not judged again.

ALTER TABLE orders ALTER COLUMN guard SET DEFAULT 3;
