-- name: raise_alarms
-- Raises an alarm about each order that has been with its rail, or may have been, since before a moment and is not settled, at most so
-- many, longest waiting first; returns those that nobody else had raised. Inserted in sorted order, so that two who look do not deadlock.
WITH late AS (
    SELECT o.order_id, o.area, o.sum_kroner, coalesce(o.sent_at, o.sending_at, o.made_at) AS sent_at
    FROM orders AS o
    WHERE o.rail = %(rail)s AND o.state IN ('sending', 'sent', 'unknown') AND coalesce(o.sent_at, o.sending_at, o.made_at) <= %(before)s
      AND NOT EXISTS (SELECT FROM alarms AS a WHERE a.order_id = o.order_id AND a.cleared_at IS NULL)
    ORDER BY sent_at
    LIMIT %(limit)s
)
INSERT INTO alarms (order_id, area, sum_kroner, sent_at, raised_at)
SELECT order_id, area, sum_kroner, sent_at, %(now)s FROM late ORDER BY order_id
ON CONFLICT (order_id) WHERE cleared_at IS NULL DO NOTHING
RETURNING order_id::text, area, sent_at;

-- name: clear_alarms
-- Clears the standing alarms whose orders are settled by now; returns them. What somebody else is clearing is left to them.
WITH settled AS (
    SELECT a.alarm_no
    FROM alarms AS a
    CROSS JOIN LATERAL (SELECT o.state FROM orders AS o WHERE o.order_id = a.order_id OFFSET 0) AS s
    WHERE a.cleared_at IS NULL AND s.state IN ('accepted', 'rejected', 'withdrawn')
    FOR UPDATE OF a SKIP LOCKED
)
UPDATE alarms AS a SET cleared_at = %(now)s
FROM settled AS s
WHERE a.alarm_no = s.alarm_no AND a.cleared_at IS NULL
RETURNING a.order_id::text, a.area, a.sent_at;

-- name: mark_late_cancellations
-- Marks each request to cancel an order that was put on its rail's queue before a moment and is not answered, once; returns them.
UPDATE cancellations AS k SET is_late = true
FROM orders AS o
WHERE k.rail = %(rail)s AND k.state = 'sent' AND NOT k.is_late AND k.sent_at <= %(before)s AND o.order_id = k.order_id
RETURNING k.order_id::text, o.area, k.sent_at;

-- name: unanswered_simulations
-- Of the simulations that a rail was asked for since a moment: when the last ended that it answered, and those that ended after it, which
-- it did not: the first and the last of them. Reads the ends backwards, as far as the last that was answered. And since when one waits that
-- could be asked; a check can not while an order of its case may be at the rail.
WITH ends AS NOT MATERIALIZED (
    SELECT r.ended_at, r.state = 'closed' OR coalesce(r.reason = ANY (%(reasons)s), false)
           OR EXISTS (SELECT FROM simulation_questions AS q WHERE q.request_no = r.request_no AND q.reason = ANY (%(reasons)s)) AS is_unanswered
    FROM simulation_requests AS r
    WHERE r.rail = %(rail)s AND r.ended_at IS NOT NULL AND r.times_asked > 0 AND r.ended_at > %(after)s
), answered AS (
    SELECT (SELECT e.ended_at FROM ends AS e WHERE NOT e.is_unanswered ORDER BY e.ended_at DESC LIMIT 1) AS at
)
SELECT a.at AS answered_at, u.first_at, u.last_at, w.waits_since
FROM answered AS a
CROSS JOIN LATERAL (
    SELECT min(e.ended_at) AS first_at, max(e.ended_at) AS last_at FROM ends AS e WHERE e.ended_at > coalesce(a.at, %(after)s)
) AS u
CROSS JOIN LATERAL (
    SELECT min(r.requested_at) AS waits_since FROM simulation_requests AS r
    WHERE r.rail = %(rail)s AND r.state IN ('requested', 'asked') AND (r.asker <> 'check' OR NOT EXISTS (
        SELECT FROM orders AS o
        WHERE o.case_no = r.case_no AND (o.state IN ('sending', 'sent', 'unknown') OR (o.state = 'ready' AND o.held_for = '[]'))
    ))
) AS w;

-- name: raise_rail_alarm
-- Raises an alarm about a rail, unless one stands; returns it.
INSERT INTO rail_alarms (rail, since, raised_at) VALUES (%(rail)s, %(since)s, %(now)s)
ON CONFLICT (rail) WHERE cleared_at IS NULL DO NOTHING
RETURNING rail, since;

-- name: clear_rail_alarm
-- Clears the alarm about a rail that stands since before a moment; returns it.
UPDATE rail_alarms SET cleared_at = %(now)s WHERE rail = %(rail)s AND cleared_at IS NULL AND since <= %(answered_at)s
RETURNING rail, since;

-- name: open_rail_alarms
-- The rails about which an alarm stands, and since when they have answered no simulation.
SELECT rail, since FROM kvitt_views.rail_alarms WHERE cleared_at IS NULL;

-- name: raise_reconciliation_alarms
-- Raises an alarm about each area and kind of run of which a run was due before a moment and is not made, or was made before it and has not
-- left, unless one stands; returns them. `areas` have the jobs of these names.
WITH late AS (
    SELECT w.area, 'interface' AS kind, j.next_due AS since
    FROM unnest(%(areas)s::text[], %(jobs)s::text[]) AS w (area, job) JOIN jobs AS j ON j.name = w.job
    WHERE j.next_due <= %(before)s
    UNION ALL
    SELECT n.area, n.kind, n.made_at FROM open_reconciliation_runs AS n WHERE n.made_at <= %(before)s
)
INSERT INTO reconciliation_alarms (area, kind, since, raised_at)
SELECT area, kind, min(since), %(now)s FROM late GROUP BY area, kind ORDER BY area, kind
ON CONFLICT (area, kind) WHERE cleared_at IS NULL DO NOTHING
RETURNING area, kind, since;

-- name: clear_reconciliation_alarms
-- Clears the alarms about areas of which no run is due or on its way any more; returns them. A job that is not among these is no area's.
UPDATE reconciliation_alarms AS a SET cleared_at = %(now)s
WHERE a.cleared_at IS NULL
  AND NOT EXISTS (SELECT FROM open_reconciliation_runs AS n WHERE n.area = a.area AND n.kind = a.kind)
  AND (a.kind <> 'interface' OR NOT EXISTS (
      SELECT FROM unnest(%(areas)s::text[], %(jobs)s::text[]) AS w (area, job) JOIN jobs AS j ON j.name = w.job
      WHERE w.area = a.area AND j.next_due <= %(now)s
  ))
RETURNING a.area, a.kind, a.since;

-- name: open_reconciliation_alarms
-- The areas about which an alarm stands, and since when a run of them has been late.
SELECT area, min(since) AS since FROM kvitt_views.reconciliation_alarms WHERE cleared_at IS NULL GROUP BY area;

-- name: open_runs
-- How many runs of reconciliation are not good yet, and when the oldest was made; without what broke off and was overtaken.
SELECT count(*) AS number, min(made_at) AS oldest FROM open_reconciliation_runs;

-- name: open_run_messages
-- How many messages of runs have not left, by state.
SELECT state, count(*) AS messages FROM reconciliation_messages WHERE state IN ('ready', 'sending', 'unknown') GROUP BY state;

-- name: open_simulations
-- Simulations that have not ended, by scheme and state: how many, and since when the oldest has been asked for.
SELECT scheme, state, count(*) AS simulations, min(requested_at) AS oldest
FROM kvitt_views.simulations WHERE state IN ('requested', 'asked') GROUP BY 1, 2;

-- name: open_alarms
-- The standing alarms per area: how many, and since when the longest waiting order waits.
SELECT area, count(*) AS orders, min(sent_at) AS oldest FROM kvitt_views.alarms WHERE cleared_at IS NULL GROUP BY area;

-- name: list_alarms
-- Standing alarms with the case and the present state of their orders, newest first; with what is over, if asked for. Contradictions, and
-- receipts of no order, and orders that are held because their source is over its limit, are alarms as long as they are open; those about rails and about areas are about no order.
SELECT a.alarm_no, a.kind, a.rail, a.order_id::text, o.scheme, o.case_id, coalesce(a.area, o.area) AS area, o.state, a.sent_at, a.raised_at,
       a.cleared_at
FROM (
    (SELECT alarm_no, 'no receipt' AS kind, NULL AS rail, NULL AS area, order_id, sent_at, raised_at, cleared_at FROM alarms
     WHERE cleared_at IS NULL OR %(cleared)s ORDER BY alarm_no DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT contradiction_no, 'contradiction', NULL, NULL, order_id, NULL, found_at, resolved_at FROM contradictions
     WHERE resolved_at IS NULL OR %(cleared)s ORDER BY contradiction_no DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT message_no, 'over limit', NULL, NULL, order_id, NULL, made_at, NULL FROM orders
     WHERE state = 'ready' AND held_for @> '[{"kind": "over_limit"}]' ORDER BY message_no DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT r.receipt_no, 'receipt of no order', r.rail, NULL, NULL, NULL, r.received_at, NULL FROM kvitt_views.open_receipts AS r
     WHERE r.outcome = 'unmatched' ORDER BY r.receipt_no DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT alarm_no, 'no simulation', rail, NULL, NULL, NULL, raised_at, cleared_at FROM rail_alarms
     WHERE cleared_at IS NULL OR %(cleared)s ORDER BY alarm_no DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT alarm_no, 'no ' || CASE kind WHEN 'interface' THEN 'reconciliation' ELSE 'reconciliation of lines' END, NULL, area, NULL, NULL,
            raised_at, cleared_at FROM reconciliation_alarms
     WHERE cleared_at IS NULL OR %(cleared)s ORDER BY alarm_no DESC LIMIT %(limit)s)
) AS a
LEFT JOIN LATERAL (
    SELECT s.state, s.area, c.scheme, c.case_id FROM orders AS s JOIN cases AS c ON c.case_no = s.case_no WHERE s.order_id = a.order_id
) AS o ON true
ORDER BY a.raised_at DESC, a.kind, a.alarm_no DESC
LIMIT %(limit)s;

-- name: open_contradictions
-- How many orders the rail contradicts, and since when the one that has stood longest.
SELECT count(*) AS number, min(found_at) AS oldest FROM kvitt_views.contradictions WHERE resolved_at IS NULL;

-- name: over_limit
-- How many orders are held because their source is over its limit, and since when the oldest.
SELECT count(*) AS number, min(made_at) AS oldest FROM orders WHERE state = 'ready' AND held_for @> '[{"kind": "over_limit"}]';

-- name: open_orders
-- The open orders per area and state: how many are younger than each of these ages (in seconds, ascending) and no younger than the one
-- before, how many are older than all, and how many an operator has to release.
SELECT o.area, o.state, width_bucket(extract(epoch FROM %(now)s::timestamptz - o.made_at)::double precision, %(ages)s::double precision[]) AS age,
       count(*) AS orders, count(*) FILTER (WHERE o.state = 'ready' AND o.is_held) AS blocked
FROM kvitt_views.open_orders AS o
GROUP BY 1, 2, 3;

-- name: unanswered_messages
-- The messages without a final answer per scheme and state: how many, and when the oldest came.
SELECT scheme, state, count(*) AS messages, min(received_at) AS oldest
FROM kvitt_views.messages
WHERE state IN ('received', 'queued', 'derived')
GROUP BY 1, 2;

-- name: outbox_waiting
-- How many records of the outbox are not published yet, and when the oldest was written.
SELECT coalesce(sum(cardinality(u.numbers)), 0)::bigint AS number,
       (SELECT o.made_at FROM outbox AS o WHERE o.outbox_no = min(u.first_no)) AS oldest
FROM unrelayed AS u;

-- name: open_dead_letters
-- How many dead letters wait for an operator.
SELECT count(*) FROM kvitt_views.dead_letters WHERE state = 'open';

-- name: open_receipts
-- How many receipts wait for a person, by what they were taken for.
SELECT outcome, count(*) AS receipts FROM kvitt_views.open_receipts GROUP BY 1;

-- name: stopped_areas
-- To which rails and areas nothing is sent until an operator resumes it.
SELECT rail, area FROM kvitt_views.stops;

-- name: log_lag
-- Per topic of the embedded log: how many records lie behind the position that is stored for each partition.
SELECT p.topic, sum(greatest(p.next_position - coalesce(l.position, 0), 0))::bigint AS records
FROM log_partitions AS p
LEFT JOIN leases AS l ON l.lease = 'intake:' || p.topic || ':' || p.partition
WHERE p.topic = ANY (%(topics)s::text[])
GROUP BY p.topic;

-- name: log_behind
-- How many records of some topics of the embedded log lie behind the positions that are stored for them.
SELECT coalesce(sum(greatest(p.next_position - coalesce(l.position, 0), 0)), 0)::bigint
FROM log_partitions AS p
LEFT JOIN leases AS l ON l.lease = 'intake:' || p.topic || ':' || p.partition
WHERE p.topic = ANY (%(topics)s::text[]);

-- name: note_keeping_up
-- Notes how far the hub is behind at this moment.
INSERT INTO keeping_up (not_taken_in, unpublished_seconds, unanswered_seconds)
SELECT %(not_taken_in)s::bigint, coalesce(greatest(extract(epoch FROM now() - o.made_at), 0), 0)::integer,
       coalesce(greatest(extract(epoch FROM now() - m.received_at), 0), 0)::integer
FROM (SELECT) AS here
LEFT JOIN (SELECT q.made_at FROM outbox AS q WHERE q.outbox_no = (SELECT min(first_no) FROM unrelayed)) AS o ON true
LEFT JOIN (SELECT min(received_at) AS received_at FROM messages WHERE state IN ('received', 'queued', 'derived')) AS m ON true
ON CONFLICT (at) DO NOTHING;

-- name: report_roles
-- How the roles of a process do now; of processes that were not seen for a week nothing is kept.
WITH forgotten AS (DELETE FROM processes WHERE seen_at < now() - interval '7 days')
INSERT INTO processes (process, roles) VALUES (%(process)s, %(roles)s)
ON CONFLICT (process) DO UPDATE SET seen_at = now(), roles = EXCLUDED.roles;

-- name: end_process
-- A process has ended in order.
DELETE FROM processes WHERE process = %(process)s;

-- name: count_messages
-- Counts messages by scheme and hour, from where the last count ended to the number that was the newest then, and notes which is now; not
-- within a minute: then one with a lower number may still be on its way.
WITH span AS (
    SELECT c.counted_to AS counted_from, c.seen_at < now() - interval '1 minute' AS is_due,
           CASE WHEN c.seen_at < now() - interval '1 minute' THEN least(c.seen_to, c.counted_to + %(limit)s) ELSE c.counted_to END AS counted_to
    FROM counted_messages AS c FOR UPDATE
), counted AS (
    INSERT INTO message_hours (scheme, hour, messages)
    SELECT m.scheme, date_trunc('hour', m.received_at, 'UTC'), count(*)
    FROM span AS s JOIN messages AS m ON m.message_no > s.counted_from AND m.message_no <= s.counted_to
    WHERE NOT m.dry_run
    GROUP BY 1, 2
    ON CONFLICT (hour, scheme) DO UPDATE SET messages = message_hours.messages + EXCLUDED.messages
), noted AS (
    UPDATE counted_messages AS c
    SET counted_to = s.counted_to, seen_at = now(),
        seen_to = coalesce((SELECT max(m.message_no) FROM messages AS m WHERE m.message_no > c.seen_to), c.seen_to)
    FROM span AS s WHERE s.is_due
)
SELECT counted_from, counted_to FROM span;

-- name: last_check
-- How the last check of the whole store ended.
SELECT differences, ended_at FROM check_runs ORDER BY run_no DESC LIMIT 1;
