-- name: versions
-- All versions of the payments of a case, of each the newest first.
SELECT payment_id, version, order_id, area, state, benefit
FROM kvitt_views.payments WHERE case_no = %(case_no)s
ORDER BY payment_id, version DESC
LIMIT %(limit)s;

-- name: spans_of_month
-- What versions of its payments pay in some days, newest versions first.
SELECT payment_id, version, start_on, end_on, amount_kroner, rate_type
FROM kvitt_views.payment_spans
WHERE case_no = %(case_no)s AND start_on <= %(last)s AND end_on >= %(first)s
ORDER BY version DESC, payment_id, start_on
LIMIT %(limit)s;
