-- name: anything_reconciled
-- Whether anything has been reconciled or is said to have been: what the other statements find is about rows of these tables.
SELECT EXISTS (SELECT FROM reconciliation_runs) OR EXISTS (SELECT FROM reconciled_orders)
    OR EXISTS (SELECT FROM reconciled_areas) OR EXISTS (SELECT FROM reconciliation_triggers) OR EXISTS (SELECT FROM reconciliation_messages);

-- name: runs_after
-- The numbers of the next runs.
SELECT run_no FROM reconciliation_runs WHERE run_no > %(after)s ORDER BY run_no LIMIT %(limit)s;

-- name: bodies_of_run
-- The messages of a run, in their order, each with its place.
SELECT place, body FROM reconciliation_messages WHERE run_no = %(run_no)s ORDER BY place;

-- name: orders_of_two_runs
-- Orders that are reported twice under one day, or once more as what they were.
SELECT o.case_no, e.order_id::text, 'is reported in runs ' || string_agg(e.run_no::text, ', ' ORDER BY e.run_no) || ', each as ' || e.bucket
FROM reconciled_orders AS e
JOIN reconciliation_runs AS n ON n.run_no = e.run_no
LEFT JOIN orders AS o ON o.order_id = e.order_id
WHERE n.state <> 'replaced' AND n.kind = 'interface'
GROUP BY o.case_no, e.order_id, e.key_day, CASE WHEN e.cause = 'late receipt' THEN e.bucket <> 'missing' ELSE false END, e.bucket
HAVING count(*) > 1;

-- name: orders_of_no_run
-- Orders whose day is reconciled, and that no run reports; one that was made since and has not left leaves under a later day. Whoever stores
-- one has read the clock up to a minute before.
SELECT o.case_no, o.order_id::text, 'is of ' || coalesce(o.key_day, o.day) || ', which is reconciled, and no run reports it'
FROM orders AS o
JOIN reconciled_areas AS a ON a.rail = o.rail AND a.area = o.area AND a.kind = 'interface'
JOIN (
    SELECT rail, area, min(first_day) AS first_day FROM reconciliation_runs WHERE kind = 'interface' GROUP BY rail, area
) AS b ON b.rail = o.rail AND b.area = o.area
WHERE coalesce(o.key_day, o.day) BETWEEN b.first_day AND a.last_day AND o.state <> 'withdrawn' AND o.reconciliation_key IS NULL
  AND o.sum_kroner <> 0
  AND NOT (o.state = 'ready' AND o.made_at > (
      SELECT max(n.made_at) - interval '1 minute' FROM reconciliation_runs AS n
      WHERE n.rail = o.rail AND n.area = o.area AND n.kind = 'interface' AND o.day BETWEEN n.first_day AND n.last_day
  ))
  AND NOT EXISTS (
      SELECT FROM reconciled_orders AS e JOIN reconciliation_runs AS n ON n.run_no = e.run_no
      WHERE e.order_id = o.order_id AND n.state <> 'replaced' AND e.key_day = coalesce(o.key_day, o.day)
  );

-- name: earlier_of_no_run
-- Orders that had left under a day before they were sent again under another, and that no run reports of the first one, which is reconciled.
SELECT o.case_no, d.order_id::text, 'may have left under ' || d.key_day || ', which is reconciled, and no run reports it there'
FROM earlier_key_days AS d
JOIN orders AS o ON o.order_id = d.order_id
JOIN reconciled_areas AS a ON a.rail = o.rail AND a.area = o.area AND a.kind = 'interface'
WHERE d.key_day <= a.last_day
  AND d.key_day >= (SELECT min(n.first_day) FROM reconciliation_runs AS n WHERE n.rail = o.rail AND n.area = o.area AND n.kind = 'interface')
  AND NOT EXISTS (
      SELECT FROM reconciled_orders AS e JOIN reconciliation_runs AS n ON n.run_no = e.run_no
      WHERE e.order_id = d.order_id AND n.state <> 'replaced' AND e.key_day = d.key_day
  );

-- name: numbered_of_no_run
-- Orders with a number of their own that had left when a run up to their day was made, and that no run reports; those of days before the first
-- run only if they left behind its beginning for the first time. What leaves within the minute before a run may be noted when it has been made: the next one
-- reports it.
SELECT o.case_no, o.order_id::text, 'had left when run ' || n.run_no || ' was made, and no run reports it'
FROM orders AS o
JOIN LATERAL (
    SELECT r.run_no FROM reconciliation_runs AS r
    WHERE r.rail = o.rail AND r.area = o.area AND r.kind = 'interface' AND r.last_day >= o.day AND r.made_at - interval '1 minute' > o.sent_at
    ORDER BY r.run_no DESC LIMIT 1
) AS n ON true
WHERE o.reconciliation_key IS NOT NULL AND o.state <> 'withdrawn'
  AND greatest(o.day, CASE WHEN o.resends = 0 THEN (o.sent_at AT TIME ZONE 'Europe/Oslo')::date END) >= (
      SELECT min(r.first_day) FROM reconciliation_runs AS r WHERE r.rail = o.rail AND r.area = o.area AND r.kind = 'interface'
  )
  AND NOT EXISTS (
      SELECT FROM reconciled_orders AS e JOIN reconciliation_runs AS r ON r.run_no = e.run_no
      WHERE e.order_id = o.order_id AND r.state <> 'replaced'
  );

-- name: late_of_no_run
-- Orders with a number of their own that are reported as missing, and that had been answered when a later run up to their day was made.
SELECT o.case_no, o.order_id::text, 'had been answered when run ' || n.run_no || ' was made, and no run reports that'
FROM orders AS o
JOIN LATERAL (
    SELECT e.run_no, e.bucket FROM reconciled_orders AS e JOIN reconciliation_runs AS r ON r.run_no = e.run_no
    WHERE e.order_id = o.order_id AND r.state <> 'replaced' ORDER BY e.run_no DESC LIMIT 1
) AS e ON e.bucket = 'missing'
JOIN LATERAL (
    SELECT r.run_no FROM reconciliation_runs AS r
    WHERE r.rail = o.rail AND r.area = o.area AND r.kind = 'interface' AND r.last_day >= o.day AND r.run_no > e.run_no
      AND r.made_at - interval '1 minute' > o.settled_at
    ORDER BY r.run_no DESC LIMIT 1
) AS n ON true
WHERE o.reconciliation_key IS NOT NULL AND o.state IN ('accepted', 'rejected');

-- name: runs_not_as_orders
-- Runs whose totals are not those of the orders that they report.
SELECT NULL::bigint, n.run_no::text, 'reports ' || n.orders || ' orders, and ' || count(e.order_id) || ' are in it, or their sums differ'
FROM reconciliation_runs AS n
LEFT JOIN reconciled_orders AS e ON e.run_no = n.run_no
LEFT JOIN orders AS o ON o.order_id = e.order_id
WHERE n.kind = 'interface'
GROUP BY n.run_no
HAVING (n.accepted, n.warned, n.rejected, n.missing) IS DISTINCT FROM (
           count(*) FILTER (WHERE e.bucket = 'accepted'), count(*) FILTER (WHERE e.bucket = 'warned'),
           count(*) FILTER (WHERE e.bucket = 'rejected'), count(*) FILTER (WHERE e.bucket = 'missing'))
    OR (n.accepted_kroner, n.warned_kroner, n.rejected_kroner, n.missing_kroner) IS DISTINCT FROM (
           coalesce(sum(o.sum_kroner) FILTER (WHERE e.bucket = 'accepted'), 0), coalesce(sum(o.sum_kroner) FILTER (WHERE e.bucket = 'warned'), 0),
           coalesce(sum(o.sum_kroner) FILTER (WHERE e.bucket = 'rejected'), 0), coalesce(sum(o.sum_kroner) FILTER (WHERE e.bucket = 'missing'), 0));

-- name: runs_not_as_messages
-- Runs whose state is not that of their messages: good once all of them are put, and not before; nothing is put of one that was given up.
SELECT NULL::bigint, n.run_no::text, 'is ' || n.state || ', and ' || count(*) FILTER (WHERE m.state <> 'sent') || ' of its '
       || count(m.place) || ' messages are not put'
FROM reconciliation_runs AS n LEFT JOIN reconciliation_messages AS m ON m.run_no = n.run_no
GROUP BY n.run_no
HAVING count(m.place) <> n.messages
    OR (n.state = 'good' AND count(*) FILTER (WHERE m.state <> 'sent') > 0)
    OR (n.state = 'empty' AND count(m.place) > 0)
    OR (n.state = 'dropped' AND count(*) FILTER (WHERE m.state <> 'dropped') > 0)
    OR (n.state = 'made' AND count(*) FILTER (WHERE m.state IN ('ready', 'sending', 'unknown')) = 0);

-- name: ranges_over_each_other
-- Runs of an area about the same day, neither of which came in the place of the other.
SELECT NULL::bigint, n.run_no::text, 'is about days of run ' || b.run_no || ' as well'
FROM reconciliation_runs AS n
JOIN reconciliation_runs AS b ON b.rail = n.rail AND b.area = n.area AND b.kind = n.kind AND b.run_no < n.run_no
     AND b.first_day <= n.last_day AND n.first_day <= b.last_day
WHERE n.state NOT IN ('replaced', 'dropped') AND b.state NOT IN ('replaced', 'dropped') AND (n.kind = 'interface' OR (n.trigger <> 'call' AND b.trigger <> 'call'));

-- name: reported_of_no_order
-- What runs report of orders that are not there, and what is reported in runs that are not.
SELECT NULL::bigint, e.order_id::text, 'is reported in run ' || e.run_no || ', and there is no such ' || CASE WHEN n.run_no IS NULL THEN 'run' ELSE 'order' END
FROM reconciled_orders AS e
LEFT JOIN orders AS o ON o.order_id = e.order_id
LEFT JOIN reconciliation_runs AS n ON n.run_no = e.run_no
WHERE o.order_id IS NULL OR n.run_no IS NULL;
