-- What of one case needs a person begins with the orders of the case, whatever statistics say of how many orders are held or unknown: these come
-- by thousands within minutes. And what is stuck has its words from what needs a person.

CREATE VIEW kvitt_views.case_attention AS
SELECT c.case_no, f.what, o.area, o.order_id, o.message_no, f.since, o.sum_kroner, f.why, f.ends_by
FROM public.cases AS c
CROSS JOIN LATERAL (
    SELECT v.order_id, v.area, v.rail, v.state, v.is_held, v.held_for, v.message_no, v.sum_kroner, v.made_at, v.sending_at, v.sent_at, v.receipt_no
    FROM kvitt_views.orders AS v WHERE v.case_no = c.case_no OFFSET 0
) AS o
CROSS JOIN LATERAL (
    SELECT 'order held' AS what, o.made_at AS since,
           (SELECT string_agg(r.reason ->> 'text', '; ' ORDER BY r.place)
            FROM jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)) AS why,
           'kvitt order release or withdraw' AS ends_by
    WHERE o.state = 'ready' AND o.is_held
    UNION ALL
    SELECT 'sending stopped', greatest(o.made_at, s.stopped_at), s.reason, 'kvitt sending resume'
    FROM public.stops AS s WHERE o.state = 'ready' AND NOT o.is_held AND s.rail IN (o.rail, '*') AND s.area IN (o.area, '*')
    UNION ALL
    SELECT 'order unknown', coalesce(o.sent_at, o.sending_at, o.made_at),
           coalesce((SELECT 'receipt ' || r.receipt_no || ' says nothing certain: ' || r.note FROM public.receipts AS r WHERE r.receipt_no = o.receipt_no),
                    'nobody knows whether it reached the rail'),
           'kvitt order decide or resend'
    WHERE o.state = 'unknown'
    UNION ALL
    SELECT 'receipt late', a.sent_at, 'the rail has not answered since', 'the rail''s receipt, or kvitt order decide'
    FROM public.alarms AS a WHERE a.order_id = o.order_id AND a.cleared_at IS NULL AND o.state = 'sent'
    UNION ALL
    SELECT 'contradiction', k.found_at,
           'stands as ' || k.ours || ', and the rail says ' || k.rails
               || coalesce(': ' || nullif((SELECT r.note FROM public.receipts AS r WHERE r.receipt_no = k.receipt_no), ''), ''),
           'kvitt order adopt or keep'
    FROM public.contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL
    UNION ALL
    SELECT 'receipt ' || r.outcome, r.received_at, r.note, 'kvitt receipt close'
    FROM (SELECT p.receipt_no, p.outcome, p.received_at, p.note FROM public.receipts AS p WHERE p.order_id = o.order_id OFFSET 0) AS r
    JOIN public.receipts_that_wait AS w ON w.receipt_no = r.receipt_no
    WHERE r.outcome <> 'contradicts'
) AS f;

CREATE OR REPLACE VIEW kvitt_views.stuck AS
SELECT a.what, a.scheme, a.case_id, a.area, a.order_id, a.message_no, a.since, a.sum_kroner, a.why, a.ends_by
FROM kvitt_views.attention AS a
WHERE a.what NOT IN ('sending stopped', 'approval asked', 'rail silent', 'reconciliation late', 'job failed')
UNION ALL
SELECT 'sending stopped', o.scheme, o.case_id, o.area, o.order_id, o.message_no, greatest(o.made_at, s.stopped_at), o.sum_kroner, s.reason,
       'kvitt sending resume'
FROM kvitt_views.orders AS o JOIN public.stops AS s ON s.rail IN (o.rail, '*') AND s.area IN (o.area, '*')
WHERE o.state = 'ready' AND NOT o.is_held
UNION ALL
SELECT 'message queued', m.scheme, m.case_id, NULL, NULL, m.message_no, m.received_at, NULL,
       'an order of the case is open, or what stands is contradicted', 'the case being free'
FROM kvitt_views.messages AS m WHERE m.state = 'queued'
UNION ALL
SELECT 'case locked', d.scheme, d.case_id, NULL, NULL, NULL, d.came_at, NULL, 'a ' || d.what || ' came while somebody else had locked the case',
       'the lock being given up'
FROM kvitt_views.deferred AS d;
