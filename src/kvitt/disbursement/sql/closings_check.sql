-- What `kvitt check` proves of closings: each is in the operators' chain, by the one who stands beside it, and each entry closed something.

-- name: letters_not_closed_as_noted
-- Dead letters that are closed without an entry of that person since then, or open though there is one.
WITH noted AS MATERIALIZED (
    SELECT substring(a.note::json ->> 'subject' FROM '^dead letter (\d+)')::bigint AS dead_no,
           CASE a.what WHEN 'close dead letter' THEN 'closed' ELSE 'replayed' END AS state, a.note::json ->> 'by' AS by, a.at
    FROM audit AS a WHERE a.chain = 0 AND a.what IN ('replay dead letter', 'close dead letter')
)
SELECT NULL::bigint, coalesce(d.dead_no, n.dead_no)::text, 'is a dead letter that is not closed as the operators'' chain says'
FROM (SELECT * FROM dead_letters WHERE state <> 'open') AS d
FULL JOIN noted AS n ON n.dead_no = d.dead_no
WHERE (n.state, n.by) IS DISTINCT FROM (d.state, d.closed_by) OR n.at < d.closed_at;

-- name: receipts_not_closed_as_noted
-- Receipts that are closed without an entry of that person since then, or open though there is one.
WITH noted AS MATERIALIZED (
    SELECT substring(a.note::json ->> 'subject' FROM '^receipt (\d+)')::bigint AS receipt_no, a.note::json ->> 'by' AS by, a.at
    FROM audit AS a WHERE a.chain = 0 AND a.what = 'close receipt'
)
SELECT NULL::bigint, coalesce(r.receipt_no, n.receipt_no)::text, 'is a receipt that is not closed as the operators'' chain says'
FROM (SELECT * FROM receipts WHERE closed_at IS NOT NULL) AS r
FULL JOIN noted AS n ON n.receipt_no = r.receipt_no
WHERE n.by IS DISTINCT FROM r.closed_by OR n.at < r.closed_at;

-- name: limits_not_set_as_noted
-- Limits of sources otherwise than the newest entry about each source says, or without one; and entries whose limit is not there.
WITH noted AS MATERIALIZED (
    SELECT DISTINCT ON (split_part(a.note::json ->> 'subject', ': ', 1)) split_part(a.note::json ->> 'subject', ': ', 1) AS source, a.what,
           a.note::json ->> 'subject' AS subject, a.note::json ->> 'by' AS by, a.note::json ->> 'approved_by' AS approved_by
    FROM audit AS a WHERE a.chain = 0 AND a.what IN ('set limit', 'clear limit')
    ORDER BY split_part(a.note::json ->> 'subject', ': ', 1), a.seq DESC
), stands AS (
    SELECT l.source, l.set_by, l.approved_by,
           format('%%s: %%s for one order, %%s in an hour, until %%s', l.source, coalesce(l.kroner_per_order::text, '-'),
                  coalesce(l.kroner_per_hour::text, '-'), coalesce(to_char(l.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS" UTC"'), '-')) AS subject
    FROM source_limits AS l
)
SELECT NULL::bigint, coalesce(s.source, n.source), 'is a source whose limit is not as the operators'' chain says'
FROM stands AS s
FULL JOIN (SELECT * FROM noted WHERE what = 'set limit') AS n ON n.source = s.source
WHERE (s.subject, s.set_by, s.approved_by) IS DISTINCT FROM (n.subject, n.by, n.approved_by);

-- name: cancellations_not_as_noted
-- Requests to cancel orders without an entry of two people who asked for just that one, in these words; and entries without a request.
WITH noted AS MATERIALIZED (
    SELECT a.note::json ->> 'subject' AS order_id, row_number() OVER (PARTITION BY a.note::json ->> 'subject' ORDER BY a.seq) AS number,
           a.note::json ->> 'reason' AS reason, a.note::json ->> 'approved_by' IS NOT NULL AS by_two, a.at
    FROM audit AS a WHERE a.chain = 0 AND a.what = 'cancel'
)
SELECT NULL::bigint, coalesce(k.order_id::text, n.order_id), 'is not asked to be cancelled as the operators'' chain says'
FROM cancellations AS k
FULL JOIN noted AS n ON n.order_id = k.order_id::text AND n.number = k.number
WHERE (k.reason, true) IS DISTINCT FROM (n.reason, n.by_two) OR n.at < k.asked_at;

-- name: cancellations_not_put_again_as_noted
-- Orders whose requests to cancel were put once more otherwise than two people had it done each time, as the entries say.
WITH noted AS MATERIALIZED (
    SELECT a.note::json ->> 'subject' AS order_id, count(*) AS times, bool_and(a.note::json ->> 'approved_by' IS NOT NULL) AS by_two, min(a.at) AS at
    FROM audit AS a WHERE a.chain = 0 AND a.what = 'cancel again'
    GROUP BY 1
), stands AS (
    SELECT order_id::text, sum(resends) AS times, min(asked_at) AS asked_at FROM cancellations WHERE resends > 0 GROUP BY 1
)
SELECT NULL::bigint, coalesce(k.order_id, n.order_id), 'has requests to cancel it that were not put once more as the operators'' chain says'
FROM stands AS k
FULL JOIN noted AS n ON n.order_id = k.order_id
WHERE (k.times, true) IS DISTINCT FROM (n.times, n.by_two) OR n.at < k.asked_at;
