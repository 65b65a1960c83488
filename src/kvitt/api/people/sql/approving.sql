-- name: sum_of_order
-- The check sum of the order that an act is about.
SELECT sum_kroner FROM kvitt_views.orders WHERE order_id = %(order_id)s;

-- name: amount_of_payout
-- How much a payout pays.
SELECT amount_minor, currency FROM kvitt_views.payouts WHERE payout_id = %(payout_id)s;

-- name: sum_of_orders
-- The check sums of several orders, added up.
SELECT coalesce(sum(abs(sum_kroner)), 0)::bigint FROM kvitt_views.orders WHERE order_id = ANY (%(order_ids)s::uuid[]);
