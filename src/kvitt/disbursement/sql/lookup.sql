-- Ids by their beginning, for people who type a part of one. The `^@` of a text uses the primary key where the database's texts are
-- sorted by code point, as the embedded one's are, and reads the table elsewhere.

-- name: orders_between
-- The first few orders of a range of ids; a prefix of hexadecimal digits is such a range.
SELECT order_id::text FROM orders WHERE order_id BETWEEN %(first)s::uuid AND %(last)s::uuid ORDER BY order_id LIMIT %(limit)s;

-- name: payouts_beginning
-- The first few payouts whose id begins so.
SELECT payout_id FROM payouts.payouts WHERE payout_id ^@ %(prefix)s ORDER BY payout_id LIMIT %(limit)s;

-- name: payout_called
-- The payout with this id, if there is one.
SELECT payout_id FROM payouts.payouts WHERE payout_id = %(named)s;

-- name: cases_beginning
-- The first few cases of a scheme whose id begins so.
SELECT case_id FROM cases WHERE scheme = %(scheme)s AND case_id ^@ %(prefix)s ORDER BY case_id LIMIT %(limit)s;

-- name: plans_beginning
-- The first few plans whose id begins so.
SELECT plan_id FROM ledger.plans WHERE plan_id ^@ %(prefix)s ORDER BY plan_id LIMIT %(limit)s;
