-- name: attention
-- What needs a person, the highest check sum first, then what has waited longest. Kinds of which there may be ten thousands are asked for one by one, each
-- by an index of its own.
(SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, dead_no, since, sum_kroner, why, ends_by
 FROM kvitt_views.attention_held ORDER BY sum_kroner DESC NULLS LAST, since LIMIT %(limit)s)
UNION ALL
(SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, dead_no, since, sum_kroner, why, ends_by
 FROM kvitt_views.attention_unknown ORDER BY sum_kroner DESC NULLS LAST, since LIMIT %(limit)s)
UNION ALL
(SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, dead_no, since, sum_kroner, why, ends_by
 FROM kvitt_views.attention_late ORDER BY sum_kroner DESC NULLS LAST, since LIMIT %(limit)s)
UNION ALL
(SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, dead_no, since, sum_kroner, why, ends_by
 FROM kvitt_views.attention_letters ORDER BY since LIMIT %(limit)s)
UNION ALL
(SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, dead_no, since, sum_kroner, why, ends_by
 FROM kvitt_views.attention_else ORDER BY sum_kroner DESC NULLS LAST, since LIMIT %(limit)s)
ORDER BY sum_kroner DESC NULLS LAST, since
LIMIT %(limit)s;

-- name: last_receipts
-- When the rails spoke last, as far as the newest receipts say.
SELECT r.rail, max(r.received_at) AS received_at
FROM (SELECT rail, received_at FROM kvitt_views.receipts ORDER BY receipt_no DESC LIMIT %(limit)s) AS r
GROUP BY r.rail;

-- name: last_runs
-- The last good run of reconciliation of each area and kind.
SELECT n.run_no, n.rail, n.area, n.kind, n.last_day, n.good_at, n.orders
FROM unnest(%(areas)s::text[]) AS a (area)
CROSS JOIN unnest(%(rails)s::text[]) AS r (rail)
CROSS JOIN (VALUES ('interface'), ('consistency')) AS k (kind)
CROSS JOIN LATERAL (
    SELECT v.run_no, v.rail, v.area, v.kind, v.last_day, v.good_at, v.orders
    FROM kvitt_views.reconciliations AS v
    WHERE v.rail = r.rail AND v.area = a.area AND v.kind = k.kind AND v.state = 'good'
    ORDER BY v.last_day DESC
    LIMIT 1
) AS n
ORDER BY n.area, n.kind;

-- name: backlogs
-- What is not finished, of each kind but orders, which are added up already.
SELECT what, rows, is_at_least, oldest FROM kvitt_views.backlogs WHERE what NOT LIKE 'orders %%' ORDER BY what;

-- name: not_taken_in
-- How many records of the embedded log are not taken in yet, of each topic that is read.
SELECT p.topic, sum(greatest(p.next_position - l.position, 0))::bigint AS records
FROM kvitt_views.topic_partitions AS p JOIN kvitt_views.leases AS l ON l.lease = 'intake:' || p.topic || ':' || p.partition
GROUP BY p.topic
HAVING sum(greatest(p.next_position - l.position, 0)) > 0
ORDER BY records DESC
LIMIT 20;

-- name: message_hours
-- How many messages of each scheme came in within each of these hours.
SELECT scheme, hour, messages FROM kvitt_views.message_hours WHERE hour = ANY(%(hours)s::timestamptz[]) ORDER BY hour, scheme;

-- name: has_uncounted
-- Whether more messages have come than those of an hour are counted up to.
SELECT is_at_least FROM kvitt_views.messages_counted;

-- name: keeping_up
-- How far the hub was behind since a moment: the worst of each ten minutes.
SELECT date_bin('10 minutes', at, to_timestamp(0)) AS at, max(not_taken_in) AS not_taken_in, max(unpublished_seconds) AS unpublished_seconds,
       max(unanswered_seconds) AS unanswered_seconds
FROM kvitt_views.keeping_up WHERE at >= %(since)s GROUP BY 1 ORDER BY 1;
