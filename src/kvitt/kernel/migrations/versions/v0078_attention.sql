-- What needs a person is found without a look at every order that waits for its rail: at night that may be all of a day's.

CREATE INDEX orders_held ON orders (message_no) WHERE state = 'ready' AND held_for <> '[]';

-- A stop is one thing that needs a person, however many orders are behind it.
CREATE OR REPLACE VIEW kvitt_views.attention AS
SELECT s.what, c.case_no, s.scheme, s.case_id, s.area, s.order_id, s.message_no, NULL::bigint AS approval_no, s.since, s.sum_kroner, s.why, s.ends_by
FROM kvitt_views.stuck AS s LEFT JOIN public.cases AS c ON c.scheme = s.scheme AND c.case_id = s.case_id
WHERE s.what NOT IN ('message queued', 'case locked', 'sending stopped')
UNION ALL
SELECT 'sending stopped', NULL, NULL, NULL, s.area, NULL, NULL, NULL, s.stopped_at, NULL, s.stopped_by || ' has stopped it: ' || s.reason,
       'kvitt sending resume'
FROM public.stops AS s
UNION ALL
SELECT 'approval asked', NULL, NULL, NULL, NULL, NULL, NULL, a.approval_no, a.asked_at, NULL,
       a.asked_by || ' asks to ' || a.act || ' ' || a.subject || ': ' || a.reason, 'kvitt approve yes or no'
FROM public.approvals AS a WHERE a.state = 'asked' AND a.lapses_at > now()
UNION ALL
SELECT 'rail silent', NULL, NULL, NULL, NULL, NULL, NULL, NULL, r.since, NULL, r.rail || ' answers no simulation, though it should be open',
       'the rail''s answer'
FROM public.rail_alarms AS r WHERE r.cleared_at IS NULL
UNION ALL
SELECT 'reconciliation late', NULL, NULL, NULL, r.area, NULL, NULL, NULL, r.since, NULL, r.area || ' is not reconciled: ' || r.kind,
       'kvitt reconcile due'
FROM public.reconciliation_alarms AS r WHERE r.cleared_at IS NULL
UNION ALL
SELECT 'job failed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, coalesce(j.last_due, j.next_due), NULL,
       j.name || ' failed ' || j.tries || ' times: ' || coalesce(j.outcome, ''), 'the next try'
FROM public.jobs AS j WHERE j.state = 'failed';
