-- name: paid_by_orders
-- What the lines of orders pay, or take back, in all: each amount as often as it is paid, for a year at most where a line is longer; nothing where there are none.
SELECT sum(abs(l.amount_kroner) * CASE l.rate_type
                        WHEN 'one_off' THEN 1
                        WHEN 'month' THEN 12 * (extract(year FROM l.until) - extract(year FROM l.since))
                                          + extract(month FROM l.until) - extract(month FROM l.since) + 1
                        WHEN 'weekday' THEN l.days / 7 * 5 + (SELECT count(*) FROM generate_series(0, l.days %% 7 - 1) AS n
                                                              WHERE (extract(isodow FROM l.since)::integer - 1 + n) %% 7 < 5)
                        ELSE l.days END)::bigint
FROM (
    SELECT r.amount_kroner, r.rate_type, r.since, r.until, r.until - r.since + 1 AS days
    FROM (
        SELECT amount_kroner, rate_type, coalesce(ceased_from, start_on) AS since,
               greatest(least(end_on, coalesce(ceased_from, start_on) + 365), coalesce(ceased_from, start_on)) AS until
        FROM kvitt_views.order_lines WHERE order_id = ANY (%(order_ids)s::uuid[])
    ) AS r
) AS l;

-- name: amount_of_payout
-- How much a payout pays.
SELECT amount_minor, currency FROM kvitt_views.payouts WHERE payout_id = %(payout_id)s;

-- name: sum_of_orders
-- The check sums of several orders, added up.
SELECT coalesce(sum(abs(sum_kroner)), 0)::bigint FROM kvitt_views.orders WHERE order_id = ANY (%(order_ids)s::uuid[]);
