-- name: backlogs
-- What is not finished, of each kind.
SELECT what, rows, is_at_least, oldest FROM kvitt_views.backlogs ORDER BY what;

-- name: alarms
-- The alarms that stand, oldest first.
(SELECT 'receipt late' AS kind, area || ', case ' || case_id AS about, sent_at AS since FROM kvitt_views.alarms
 WHERE cleared_at IS NULL ORDER BY sent_at LIMIT 100)
UNION ALL
(SELECT 'rail silent', rail, since FROM kvitt_views.rail_alarms WHERE cleared_at IS NULL)
UNION ALL
(SELECT 'reconciliation late', area || ', ' || kind, since FROM kvitt_views.reconciliation_alarms WHERE cleared_at IS NULL)
ORDER BY since;
