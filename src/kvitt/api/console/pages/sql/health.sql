-- name: backlogs
-- What is not finished, of each kind.
SELECT what, rows, is_at_least, oldest FROM kvitt_views.backlogs ORDER BY what;

-- name: last_check
-- How the last check of the whole store ended, and the last one before it that found nothing.
SELECT r.run_no, r.began_at, r.ended_at, r.version, r.looked_at, r.by_kind, r.differences, r.found,
    (SELECT max(c.ended_at) FROM kvitt_views.check_runs AS c WHERE c.differences = 0 AND c.run_no >= r.run_no - 1000) AS last_clean_at
FROM kvitt_views.check_runs AS r
ORDER BY r.run_no DESC
LIMIT 1;

-- name: alarms
-- The alarms that stand, oldest first.
(SELECT 'receipt late' AS kind, area || ', case ' || case_id AS about, sent_at AS since FROM kvitt_views.alarms
 WHERE cleared_at IS NULL ORDER BY sent_at LIMIT 100)
UNION ALL
(SELECT 'rail silent', rail, since FROM kvitt_views.rail_alarms WHERE cleared_at IS NULL)
UNION ALL
(SELECT 'reconciliation late', area || ', ' || kind, since FROM kvitt_views.reconciliation_alarms WHERE cleared_at IS NULL)
ORDER BY since;
