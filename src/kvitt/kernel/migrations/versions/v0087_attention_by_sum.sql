-- What needs a person is found kind by kind, most money first, no further than is shown: after a night without an answer of a rail there are
-- ten thousands. Kinds of which there may be so many have a view and an index each; what else is told of one, as its case, is looked up for
-- what is shown alone.

CREATE INDEX orders_held_by_sum ON orders (sum_kroner DESC NULLS LAST, made_at)
    WHERE state = 'ready' AND held_for @? '$[*] ? (@.kind != "unchecked")';
CREATE INDEX orders_unknown_by_sum ON orders (sum_kroner DESC NULLS LAST, coalesce(sent_at, sending_at, made_at)) WHERE state = 'unknown';
CREATE INDEX order_checks_in_vain ON order_checks (order_id) WHERE ended_at IS NULL AND times_asked >= 12;
CREATE INDEX dead_letters_open_since ON dead_letters (at) WHERE state = 'open';

ALTER TABLE alarms ADD COLUMN sum_kroner bigint;
COMMENT ON COLUMN alarms.sum_kroner IS 'The sum of the order, by which those with most money are found; empty where an alarm was cleared before it was noted.';
UPDATE alarms AS a SET sum_kroner = o.sum_kroner FROM orders AS o WHERE o.order_id = a.order_id AND a.cleared_at IS NULL;
CREATE INDEX alarms_by_sum ON alarms (sum_kroner DESC NULLS LAST, sent_at) WHERE cleared_at IS NULL;

-- What a rail said of an order that it would not simulate stands where persons do, and not here.
CREATE VIEW kvitt_views.attention_held AS
SELECT 'order held' AS what, o.case_no, (SELECT c.scheme FROM public.cases AS c WHERE c.case_no = o.case_no) AS scheme,
       (SELECT c.case_id FROM public.cases AS c WHERE c.case_no = o.case_no) AS case_id, o.area, o.order_id, o.message_no,
       NULL::bigint AS approval_no, o.made_at AS since, o.sum_kroner,
       (SELECT string_agg(CASE r.reason ->> 'kind' WHEN 'simulation_refused' THEN 'it can not be simulated' ELSE r.reason ->> 'text' END, '; '
                          ORDER BY r.place)
        FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)) AS why,
       'kvitt order release or withdraw' AS ends_by, NULL::bigint AS dead_no
FROM public.orders AS o WHERE o.state = 'ready' AND o.held_for @? '$[*] ? (@.kind != "unchecked")';

CREATE VIEW kvitt_views.attention_unknown AS
SELECT 'order unknown' AS what, o.case_no, (SELECT c.scheme FROM public.cases AS c WHERE c.case_no = o.case_no) AS scheme,
       (SELECT c.case_id FROM public.cases AS c WHERE c.case_no = o.case_no) AS case_id, o.area, o.order_id, o.message_no,
       NULL::bigint AS approval_no, coalesce(o.sent_at, o.sending_at, o.made_at) AS since, o.sum_kroner,
       coalesce((SELECT 'receipt ' || r.receipt_no || ' says nothing certain: ' || r.note FROM public.receipts AS r WHERE r.receipt_no = o.receipt_no),
                'nobody knows whether it reached the rail') AS why,
       'kvitt order decide or resend' AS ends_by, NULL::bigint AS dead_no
FROM public.orders AS o WHERE o.state = 'unknown';

-- Each alarm looks its order up, in the order of the alarms.
CREATE VIEW kvitt_views.attention_late AS
SELECT 'receipt late' AS what, o.case_no, (SELECT c.scheme FROM public.cases AS c WHERE c.case_no = o.case_no) AS scheme,
       (SELECT c.case_id FROM public.cases AS c WHERE c.case_no = o.case_no) AS case_id, a.area, a.order_id, o.message_no,
       NULL::bigint AS approval_no, a.sent_at AS since, a.sum_kroner, 'the rail has not answered since' AS why,
       'the rail''s receipt, or kvitt order decide' AS ends_by, NULL::bigint AS dead_no
FROM public.alarms AS a
CROSS JOIN LATERAL (SELECT s.case_no, s.message_no, s.state FROM public.orders AS s WHERE s.order_id = a.order_id OFFSET 0) AS o
WHERE a.cleared_at IS NULL AND o.state = 'sent';

CREATE VIEW kvitt_views.attention_letters AS
SELECT 'dead letter' AS what, NULL::bigint AS case_no, NULL::text AS scheme, NULL::text AS case_id, NULL::text AS area, NULL::uuid AS order_id,
       d.message_no, NULL::bigint AS approval_no, d.at AS since, NULL::bigint AS sum_kroner, d.reason AS why, 'kvitt dead replay or close' AS ends_by,
       d.dead_no
FROM public.dead_letters AS d WHERE d.state = 'open';

CREATE VIEW kvitt_views.attention_else AS
SELECT n.what, n.case_no, (SELECT c.scheme FROM public.cases AS c WHERE c.case_no = n.case_no) AS scheme,
       (SELECT c.case_id FROM public.cases AS c WHERE c.case_no = n.case_no) AS case_id, n.area, n.order_id, n.message_no, n.approval_no,
       n.since, n.sum_kroner, n.why, n.ends_by, NULL::bigint AS dead_no
FROM (
    -- It waits for no person, but for the rail, which was asked twelve times in vain.
    SELECT 'order held' AS what, o.case_no, o.area, o.order_id, o.message_no, NULL::bigint AS approval_no, o.made_at AS since, o.sum_kroner,
           (SELECT string_agg(CASE r.reason ->> 'kind' WHEN 'simulation_refused' THEN 'it can not be simulated' ELSE r.reason ->> 'text' END, '; '
                              ORDER BY r.place)
            FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)) AS why,
           'kvitt order release or withdraw' AS ends_by
    FROM public.order_checks AS k JOIN public.orders AS o ON o.order_id = k.order_id
    WHERE k.ended_at IS NULL AND k.times_asked >= 12 AND o.state = 'ready' AND o.held_for <> '[]'
      AND NOT o.held_for @? '$[*] ? (@.kind != "unchecked")'
    UNION ALL
    SELECT 'contradiction', k.case_no, o.area, k.order_id, o.message_no, NULL, k.found_at, o.sum_kroner,
           'stands as ' || k.ours || ', and the rail says ' || k.rails
               || coalesce(': ' || nullif((SELECT r.note FROM public.receipts AS r WHERE r.receipt_no = k.receipt_no), ''), ''),
           'kvitt order adopt or keep'
    FROM public.contradictions AS k JOIN public.orders AS o ON o.order_id = k.order_id WHERE k.resolved_at IS NULL
    UNION ALL
    SELECT 'receipt ' || r.outcome, o.case_no, o.area, r.order_id, o.message_no, NULL, r.received_at, o.sum_kroner, r.note, 'kvitt receipt close'
    FROM public.receipts_that_wait AS w JOIN public.receipts AS r ON r.receipt_no = w.receipt_no
    LEFT JOIN public.orders AS o ON o.order_id = r.order_id WHERE r.outcome <> 'contradicts'
    UNION ALL
    SELECT 'payout at another ledger', NULL, NULL, NULL, NULL, NULL, s.made_at, NULL, 'payout ' || s.payout_id || ': ' || s.action || ' is ' || s.state,
           'the other ledger''s answer'
    FROM payouts.saga_steps AS s WHERE s.state IN ('forward', 'compensating')
    UNION ALL
    SELECT 'reconciliation unknown', NULL, n.area, NULL, NULL, NULL, n.made_at, NULL,
           'nobody knows whether ' || count(*) || ' messages of run ' || n.run_no || ' reached the queue', 'kvitt reconcile resolve'
    FROM public.reconciliation_runs AS n JOIN public.reconciliation_messages AS m ON m.run_no = n.run_no
    WHERE n.state = 'made' AND m.state = 'unknown'
    GROUP BY n.run_no, n.area, n.made_at
    UNION ALL
    SELECT 'sending stopped', NULL, s.area, NULL, NULL, NULL, s.stopped_at, NULL, s.stopped_by || ' has stopped it: ' || s.reason,
           'kvitt sending resume'
    FROM public.stops AS s
    UNION ALL
    SELECT 'approval asked', NULL, NULL, NULL, NULL, a.approval_no, a.asked_at, NULL,
           a.asked_by || ' asks to ' || a.act || ' ' || a.subject || ': ' || a.reason, 'kvitt approve yes or no'
    FROM public.approvals AS a WHERE a.state = 'asked' AND a.lapses_at > now()
    UNION ALL
    SELECT 'rail silent', NULL, NULL, NULL, NULL, NULL, r.since, NULL, r.rail || ' answers no simulation, though it should be open',
           'the rail''s answer'
    FROM public.rail_alarms AS r WHERE r.cleared_at IS NULL
    UNION ALL
    SELECT 'reconciliation late', NULL, r.area, NULL, NULL, NULL, r.since, NULL, r.area || ' is not reconciled: ' || r.kind, 'kvitt reconcile due'
    FROM public.reconciliation_alarms AS r WHERE r.cleared_at IS NULL
    UNION ALL
    SELECT 'job failed', NULL, NULL, NULL, NULL, NULL, coalesce(j.last_due, j.next_due), NULL,
           j.name || ' failed ' || j.tries || ' times: ' || coalesce(j.outcome, ''), 'the next try'
    FROM public.jobs AS j WHERE j.state = 'failed'
) AS n;

CREATE OR REPLACE VIEW kvitt_views.attention AS
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by, dead_no FROM kvitt_views.attention_held
UNION ALL
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by, dead_no FROM kvitt_views.attention_unknown
UNION ALL
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by, dead_no FROM kvitt_views.attention_late
UNION ALL
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by, dead_no FROM kvitt_views.attention_letters
UNION ALL
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by, dead_no FROM kvitt_views.attention_else;
