-- name: due_triggers
-- Records that ask for reconciliation and are to be looked at now, oldest first; they are locked.
SELECT trigger_no, source, partition, position, up_to, tries FROM reconciliation_triggers
WHERE done_at IS NULL AND due_at <= %(now)s
ORDER BY trigger_no
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: caused_run
-- A run was made because of a record.
UPDATE reconciliation_runs SET trigger_no = %(trigger_no)s WHERE run_no = %(run_no)s;

-- name: trigger_done
-- A record was done, with what came of it.
UPDATE reconciliation_triggers SET done_at = %(now)s, outcome = %(outcome)s WHERE trigger_no = %(trigger_no)s;

-- name: try_trigger_again
-- A record could not be done in all areas, and is looked at again later.
UPDATE reconciliation_triggers SET tries = tries + 1, due_at = %(due_at)s, outcome = %(outcome)s WHERE trigger_no = %(trigger_no)s;

-- name: reported_run
-- A run over orders as its contract publishes it, with the record that asked for it.
SELECT n.run_id::text, n.area, n.form, n.first_key, n.last_key, n.last_day, n.orders, n.messages, t.key, t.body, t.came_at
FROM reconciliation_runs AS n LEFT JOIN reconciliation_triggers AS t ON t.trigger_no = n.trigger_no
WHERE n.run_no = %(run_no)s AND n.kind = 'interface' AND n.orders > 0;

-- name: triggers_after
-- The next records that asked for reconciliation.
SELECT trigger_no, source, partition, position, key, body, headers, edition, up_to FROM reconciliation_triggers
WHERE trigger_no > %(after)s ORDER BY trigger_no LIMIT %(limit)s;

-- name: published_of_runs
-- Runs over orders all of whose messages were put, with what is published under the id of each.
SELECT n.run_no, n.good_at, o.topic, o.key, o.value, o.headers, o.made_at
FROM reconciliation_runs AS n LEFT JOIN outbox AS o ON o.event_id = n.run_id AND o.message_no IS NULL
WHERE n.kind = 'interface' AND n.good_at IS NOT NULL AND n.orders > 0;

-- name: runs_not_as_triggered
-- Runs that an event made and that name no record, or that name one and were made otherwise.
SELECT NULL::bigint, n.run_no::text, 'was made by ' || n.trigger || CASE WHEN n.trigger_no IS NULL THEN ', and names no record' ELSE ', and names a record' END
FROM reconciliation_runs AS n
WHERE (n.trigger = 'event') <> (n.trigger_no IS NOT NULL);
