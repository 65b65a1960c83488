-- name: newest_day
-- The last day of the newest run.
SELECT last_day FROM kvitt_views.reconciliations ORDER BY run_no DESC LIMIT 1;

-- name: runs
-- Runs that are about days of a span, oldest first.
SELECT run_no, area, kind, first_day, last_day, state
FROM kvitt_views.reconciliations WHERE last_day >= %(first)s AND first_day <= %(last)s
ORDER BY run_no
LIMIT %(limit)s;

-- name: alarms
-- Areas that are not reconciled, though they should be.
SELECT area, kind, since FROM kvitt_views.reconciliation_alarms WHERE cleared_at IS NULL ORDER BY since;

-- name: run
-- One run.
SELECT run_no, run_id, rail, area, kind, form, first_day, last_day, first_key, last_key, trigger, made_by, reason, made_at, state, good_at,
       replaced_by, orders, messages, accepted, warned, rejected, missing, accepted_kroner::bigint, warned_kroner::bigint,
       rejected_kroner::bigint, missing_kroner::bigint, messages_sent, cases, lines, kroner::bigint
FROM kvitt_views.reconciliations WHERE run_no = %(run_no)s;

-- name: sums
-- What the orders that it reports add up to, by what they were reported as.
SELECT bucket, count(*) AS orders, sum(sum_kroner)::bigint AS kroner
FROM kvitt_views.reconciled_orders WHERE run_no = %(run_no)s GROUP BY bucket;

-- name: messages
-- Its messages behind a place, in the order in which they leave.
SELECT place, message_id, state, sent_at, body
FROM kvitt_views.reconciliation_texts WHERE run_no = %(run_no)s AND place > %(after)s
ORDER BY place
LIMIT %(limit)s;

-- name: remarks
-- Cases of which the rail may have other lines in force.
SELECT case_no, scheme, case_id, remark, order_id
FROM kvitt_views.reconciliation_remarks WHERE run_no = %(run_no)s ORDER BY case_no LIMIT %(limit)s;

-- name: since
-- Its orders behind a place whose state has changed since it was made, by their ids, of so many that are looked through; the last one of these
-- stands there as well, if there are so many.
WITH looked AS (
    SELECT order_id, case_no, scheme, case_id, bucket, order_state, sum_kroner, settled_at, run_made_at, decided_by_hand,
           order_receipt_no, row_number() OVER (ORDER BY order_id) = %(looked_through)s AS is_last
    FROM kvitt_views.reconciled_orders WHERE run_no = %(run_no)s AND order_id > %(after)s
    ORDER BY order_id
    LIMIT %(looked_through)s
)
SELECT order_id, case_no, scheme, case_id, bucket, order_state, sum_kroner, settled_at, decided_by_hand, order_receipt_no, is_last
FROM looked WHERE settled_at > run_made_at OR is_last
ORDER BY order_id
LIMIT %(limit)s;

-- name: run_version
-- Whether anything about a run has changed.
SELECT concat_ws('-', state, messages_sent, good_at, replaced_by) FROM kvitt_views.reconciliations WHERE run_no = %(run_no)s;
