-- name: know_area
-- Makes an area known, so that its row can be locked.
INSERT INTO reconciled_areas (rail, area, kind) VALUES (%(rail)s, %(area)s, %(kind)s) ON CONFLICT DO NOTHING;

-- name: lock_area
-- Locks an area, and returns until where it has been reconciled.
SELECT last_day FROM reconciled_areas WHERE rail = %(rail)s AND area = %(area)s AND kind = %(kind)s FOR UPDATE;

-- name: lock_orders
-- Keeps orders from being made and taken to be sent until the transaction ends.
LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE;

-- name: last_day
-- Until where an area has been reconciled.
SELECT last_day FROM reconciled_areas WHERE rail = %(rail)s AND area = %(area)s AND kind = %(kind)s;

-- name: first_order
-- The day of the first order of an area.
SELECT min(day) FROM orders WHERE area = %(area)s AND rail = %(rail)s;

-- name: move_area
-- An area has been reconciled until a day.
UPDATE reconciled_areas SET last_day = greatest(last_day, %(last_day)s) WHERE rail = %(rail)s AND area = %(area)s AND kind = %(kind)s;

-- name: runs_of_range
-- How many runs of an area there have been over a range.
SELECT count(*) FROM reconciliation_runs
WHERE rail = %(rail)s AND area = %(area)s AND kind = %(kind)s AND first_day = %(first_day)s AND last_day = %(last_day)s;

-- name: add_run
-- Stores a run, that has nothing in it yet.
INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_by, reason, made_at, state)
VALUES (%(run_id)s, %(rail)s, %(area)s, %(kind)s, %(form)s, %(first_day)s, %(last_day)s, %(trigger)s, %(made_by)s, %(reason)s, %(made_at)s,
        'made')
RETURNING run_no;

-- name: report_by_day
-- Takes into a run the orders of an area whose day is in its range, each with what the rail has said of it, and as missing those that may
-- have left under such a day and were sent again under another: of that copy the rail has said nothing. Behind every so many of them it
-- rests while messages come in, so that these need not wait for a processor.
INSERT INTO reconciled_orders (run_no, order_id, bucket, receipt_no, key_day, cause)
SELECT %(run_no)s, f.order_id, f.bucket, f.receipt_no, f.key_day, f.cause
FROM (
    SELECT o.order_id, CASE WHEN o.is_earlier THEN 'missing' ELSE reconciliation_bucket(o.state, r.severity, %(warned_by)s) END AS bucket,
           CASE WHEN o.state IN ('accepted', 'rejected') AND NOT o.is_earlier THEN o.receipt_no END AS receipt_no, o.under AS key_day,
           CASE WHEN o.key_day IS NOT NULL THEN (
               SELECT 'other day' FROM reconciled_orders AS e
               WHERE e.order_id = o.order_id AND (SELECT n.state FROM reconciliation_runs AS n WHERE n.run_no = e.run_no) <> 'replaced'
               LIMIT 1
           ) END AS cause,
           row_number() OVER () AS place
    FROM (
        SELECT *, day AS under, false AS is_earlier FROM orders WHERE day BETWEEN %(first_day)s AND %(last_day)s AND key_day IS NULL
        UNION ALL
        SELECT *, key_day, false FROM orders WHERE key_day BETWEEN %(first_day)s AND %(last_day)s
        UNION ALL
        SELECT p.*, d.key_day, true FROM earlier_key_days AS d JOIN orders AS p ON p.order_id = d.order_id
        WHERE d.key_day BETWEEN %(first_day)s AND %(last_day)s
    ) AS o
    LEFT JOIN receipts AS r ON r.receipt_no = o.receipt_no
    WHERE o.area = %(area)s AND o.rail = %(rail)s AND o.state <> 'withdrawn' AND o.sum_kroner <> 0
) AS f
WHERE CASE WHEN f.place %% %(rests_after)s = 0 THEN rest_while_others_work(%(rest_seconds)s) ELSE true END;

-- name: reported_until
-- Up to which day no order of an area is looked at again but those that were left open, and where its first run began.
SELECT a.whole_until, (
           SELECT min(n.first_day) FROM reconciliation_runs AS n WHERE n.rail = a.rail AND n.area = a.area AND n.kind = a.kind
       ) AS first_day
FROM reconciled_areas AS a WHERE a.rail = %(rail)s AND a.area = %(area)s AND a.kind = %(kind)s;

-- name: open_earlier
-- Leaves open what was made before the first run of an area began, and had not left by then: whoever reported before has not had it. Once in
-- the life of an area.
INSERT INTO reports_open (order_id, rail, area)
SELECT q.order_id, q.rail, q.area FROM orders AS q
WHERE q.area = %(area)s AND q.rail = %(rail)s AND q.day < %(first_day)s AND q.reconciliation_key IS NOT NULL AND q.state <> 'withdrawn'
  AND ((q.sent_at IS NULL AND q.state IN ('ready', 'sending')) OR coalesce(q.sent_at, q.sending_at) >= %(left_since)s)
ON CONFLICT DO NOTHING;

-- name: report_by_number
-- Takes into a run the orders of an area that were put and are in no other run, and those that another run reported as missing, and that have
-- been answered since: of the days behind the mark up to the end of its range, of what was left open, and of the run in whose place it comes.
-- What of the days up to the new mark has not left, or is missing, is left open. An order is looked up in runs one by one: a join might read
-- all that was ever reported.
WITH basis AS MATERIALIZED (
    SELECT o.order_id, o.receipt_no, o.day, o.was_open, e.bucket AS reported, reconciliation_bucket(o.state, r.severity, %(warned_by)s) AS bucket,
           o.sent_at IS NOT NULL OR o.state IN ('unknown', 'sent', 'accepted', 'rejected') AS was_put
    FROM (
        SELECT order_id, receipt_no, day, state, sent_at, false AS was_open FROM orders
        WHERE area = %(area)s AND rail = %(rail)s AND day > %(after)s AND day <= %(last_day)s AND reconciliation_key IS NOT NULL
        UNION ALL
        SELECT p.order_id, q.receipt_no, q.day, q.state, q.sent_at, true
        FROM reports_open AS p
        CROSS JOIN LATERAL (SELECT receipt_no, day, state, sent_at FROM orders WHERE order_id = p.order_id OFFSET 0) AS q
        WHERE p.rail = %(rail)s AND p.area = %(area)s AND q.day <= least(%(last_day)s, %(after)s)
        UNION ALL
        SELECT b.order_id, q.receipt_no, q.day, q.state, q.sent_at, false
        FROM reconciled_orders AS b
        CROSS JOIN LATERAL (SELECT receipt_no, day, state, sent_at FROM orders WHERE order_id = b.order_id OFFSET 0) AS q
        WHERE b.run_no = %(replaces)s AND q.day <= %(after)s AND NOT EXISTS (SELECT FROM reports_open AS p WHERE p.order_id = b.order_id)
    ) AS o
    LEFT JOIN receipts AS r ON r.receipt_no = o.receipt_no
    LEFT JOIN LATERAL (
        SELECT d.bucket FROM reconciled_orders AS d
        WHERE d.order_id = o.order_id AND (SELECT n.state FROM reconciliation_runs AS n WHERE n.run_no = d.run_no) <> 'replaced'
        ORDER BY d.run_no DESC LIMIT 1
    ) AS e ON true
), reported AS (
    INSERT INTO reconciled_orders (run_no, order_id, bucket, receipt_no, key_day, cause)
    SELECT %(run_no)s, order_id, bucket, CASE WHEN bucket <> 'missing' THEN receipt_no END, day,
           CASE WHEN reported IS NOT NULL THEN 'late receipt' END
    FROM basis
    WHERE was_put AND bucket <> 'withdrawn' AND (reported IS NULL OR (reported = 'missing' AND bucket <> 'missing'))
), closed AS (
    DELETE FROM reports_open AS p USING basis AS b WHERE p.order_id = b.order_id AND b.was_open AND b.bucket <> 'missing'
)
INSERT INTO reports_open (order_id, rail, area)
SELECT order_id, %(rail)s, %(area)s FROM basis WHERE NOT was_open AND bucket = 'missing' AND day <= %(whole_until)s
ON CONFLICT DO NOTHING;

-- name: move_mark
-- Of the days up to this one only what was left open is looked at again.
UPDATE reconciled_areas SET whole_until = %(whole_until)s WHERE rail = %(rail)s AND area = %(area)s AND kind = %(kind)s;

-- name: totals_of_run
-- The orders of a run by bucket.
SELECT e.bucket, count(*) AS orders, sum(o.sum_kroner)::bigint AS kroner
FROM reconciled_orders AS e JOIN orders AS o ON o.order_id = e.order_id
WHERE e.run_no = %(run_no)s
GROUP BY e.bucket;

-- name: span_of_run
-- Between what the orders of a run lie: their numbers, and the Oslo local times at which they were made.
SELECT min(o.reconciliation_key) AS first_key, max(o.reconciliation_key) AS last_key,
       min(o.made_at AT TIME ZONE 'Europe/Oslo') AS first, max(o.made_at AT TIME ZONE 'Europe/Oslo') AS last
FROM reconciled_orders AS e JOIN orders AS o ON o.order_id = e.order_id
WHERE e.run_no = %(run_no)s;

-- name: details_of_run
-- The orders of a run that are not simply accepted, oldest first.
SELECT o.order_id::text, c.case_id, o.person, e.bucket, o.made_at AT TIME ZONE 'Europe/Oslo' AS made_at,
       coalesce(r.severity, '') AS severity, coalesce(r.code, '') AS code, coalesce(r.note, '') AS text
FROM reconciled_orders AS e
JOIN orders AS o ON o.order_id = e.order_id
JOIN cases AS c ON c.case_no = o.case_no
LEFT JOIN receipts AS r ON r.receipt_no = e.receipt_no
WHERE e.run_no = %(run_no)s AND e.bucket <> 'accepted'
ORDER BY o.made_at, o.order_id, e.key_day;

-- name: complete_run
-- A run has all that it reports.
UPDATE reconciliation_runs
SET state = %(state)s, good_at = %(good_at)s, first_key = %(first_key)s, last_key = %(last_key)s, first_at = %(first)s::timestamp AT TIME ZONE 'Europe/Oslo',
    last_at = %(last)s::timestamp AT TIME ZONE 'Europe/Oslo', orders = %(accepted)s + %(warned)s + %(rejected)s + %(missing)s,
    accepted = %(accepted)s, warned = %(warned)s, rejected = %(rejected)s, missing = %(missing)s,
    accepted_kroner = %(accepted_kroner)s, warned_kroner = %(warned_kroner)s, rejected_kroner = %(rejected_kroner)s,
    missing_kroner = %(missing_kroner)s, messages = %(messages)s
WHERE run_no = %(run_no)s;

-- name: add_messages
-- Stores messages of a run.
INSERT INTO reconciliation_messages (run_no, place, message_id, body)
SELECT %(run_no)s, m.place, m.message_id, m.body
FROM unnest(%(places)b::integer[], %(ids)b::uuid[], %(bodies)b::bytea[]) AS m (place, message_id, body);

-- name: run
-- One run.
SELECT run_no, run_id::text, rail, area, kind AS what, form, first_day, last_day, first_key, last_key, first_at AT TIME ZONE 'Europe/Oslo' AS first,
       last_at AT TIME ZONE 'Europe/Oslo' AS last, trigger, made_by, reason, made_at, state, good_at, replaced_by, orders, messages,
       accepted, warned, rejected, missing, accepted_kroner::bigint, warned_kroner::bigint, rejected_kroner::bigint, missing_kroner::bigint
FROM reconciliation_runs
WHERE run_no = %(run_no)s;

-- name: runs
-- Runs, newest first.
SELECT run_no, run_id::text, rail, area, kind AS what, form, first_day, last_day, first_key, last_key, first_at AT TIME ZONE 'Europe/Oslo' AS first,
       last_at AT TIME ZONE 'Europe/Oslo' AS last, trigger, made_by, reason, made_at, state, good_at, replaced_by, orders, messages,
       accepted, warned, rejected, missing, accepted_kroner::bigint, warned_kroner::bigint, rejected_kroner::bigint, missing_kroner::bigint
FROM reconciliation_runs
WHERE (%(area)s::text IS NULL OR area = %(area)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(state)s::text IS NULL OR state = %(state)s) AND (%(day)s::date IS NULL OR %(day)s BETWEEN first_day AND last_day)
ORDER BY run_no DESC
LIMIT %(limit)s;

-- name: messages_of_run
-- The messages of a run, in their order.
SELECT body FROM reconciliation_messages WHERE run_no = %(run_no)s ORDER BY place;

-- name: messages_of_run_after
-- The next messages of a run, in their order, which are numbered without a gap.
SELECT body FROM reconciliation_messages WHERE run_no = %(run_no)s AND place > %(after)s ORDER BY place LIMIT %(limit)s;

-- name: states_of_messages
-- How far the messages of a run have come.
SELECT state, count(*) AS messages FROM reconciliation_messages WHERE run_no = %(run_no)s GROUP BY state;

-- name: lock_run
-- Locks a run.
SELECT state FROM reconciliation_runs WHERE run_no = %(run_no)s FOR UPDATE;

-- name: messages_under_way
-- How many messages of a run a sender is at, or may have put; they are locked, and whoever sends waits.
SELECT count(*) FROM (
    SELECT state FROM reconciliation_messages WHERE run_no = %(run_no)s AND state IN ('sending', 'unknown') FOR UPDATE
) AS m;

-- name: drop_messages
-- What of a run has not left does not leave any more.
UPDATE reconciliation_messages SET state = 'dropped' WHERE run_no = %(run_no)s AND state = 'ready';

-- name: replace_run
-- Another run over the same range came in the place of this one.
UPDATE reconciliation_runs SET state = 'replaced', replaced_by = %(by)s WHERE run_no = %(run_no)s;

-- name: changed_since
-- What of the orders of a run is otherwise by now than it was reported.
SELECT f.bucket, f.by_now, count(*) AS orders
FROM (
    SELECT e.bucket, reconciliation_bucket(o.state, r.severity, %(warned_by)s) AS by_now
    FROM reconciled_orders AS e JOIN orders AS o ON o.order_id = e.order_id LEFT JOIN receipts AS r ON r.receipt_no = o.receipt_no
    WHERE e.run_no = %(run_no)s
) AS f
WHERE f.bucket <> f.by_now
GROUP BY f.bucket, f.by_now
ORDER BY f.bucket, f.by_now;

-- name: count_messages
-- A run has so many messages.
UPDATE reconciliation_runs SET messages = %(messages)s WHERE run_no = %(run_no)s;
