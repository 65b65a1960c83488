-- What the pages of a case read: all that happened by its kind, and what every version of a payment pays.

CREATE INDEX approvals_of_subject ON approvals (subject, approval_no);
COMMENT ON INDEX approvals_of_subject IS 'What was asked for about one order, one letter, one payout.';

-- `kind` is what a row is about, `no` its number among those of its `place`: at one moment of a case no two rows have the same place and number.
CREATE OR REPLACE VIEW kvitt_views.case_timeline AS
SELECT c.case_no, c.scheme, c.case_id, t.at, t.what, t.text, t.message_no, t.order_id, t.receipt_no, t.place, t.kind, t.no, t.request_no,
       t.approval_no
FROM public.cases AS c
CROSS JOIN LATERAL (
    SELECT m.received_at AS at, 'received' AS what, 'message ' || m.message_no || ' from ' || m.source || '/' || m.partition || '/' || m.position
               || CASE WHEN m.dry_run THEN ', dry run' ELSE '' END AS text,
           m.message_no, NULL::uuid AS order_id, NULL::bigint AS receipt_no, 1 AS place, 'message' AS kind, m.message_no AS no,
           NULL::bigint AS request_no, NULL::bigint AS approval_no
    FROM public.messages AS m WHERE m.case_no = c.case_no
    UNION ALL
    SELECT e.at, e.what, 'order ' || o.number || ' to ' || o.area || e.text, o.message_no, o.order_id, NULL, e.place, 'order', o.number, NULL, NULL
    FROM public.orders AS o
    CROSS JOIN LATERAL (
        VALUES (o.made_at, 'ordered', CASE WHEN o.held_for <> '[]' THEN ', held' ELSE '' END, 7), (o.sending_at, 'sending', '', 8),
               (o.sent_at, 'sent', '', 9), (o.settled_at, 'settled', ': ' || o.state, 4)
    ) AS e (at, what, text, place)
    WHERE o.case_no = c.case_no AND e.at IS NOT NULL
    UNION ALL
    SELECT o.made_at, 'line', 'line ' || l.position || ' of order ' || o.number || ': ' || l.class_code || ' ' || l.amount || ' kr '
               || coalesce('per ' || l.rate_type || ' ', '') || 'from ' || l.start_on || ' to ' || l.end_on
               || coalesce(', ceases from ' || l.ceased_from, ''),
           o.message_no, o.order_id, NULL, 7, 'line', o.number * 100000::bigint + l.position, NULL, NULL
    FROM public.orders AS o JOIN public.order_lines AS l ON l.order_id = o.order_id WHERE o.case_no = c.case_no
    UNION ALL
    SELECT r.received_at, 'acknowledged', 'receipt ' || r.receipt_no || ' with severity ' || coalesce(nullif(r.severity, ''), 'none') || ': ' || r.outcome,
           NULL, r.order_id, r.receipt_no, 3, 'receipt', r.receipt_no, NULL, NULL
    FROM public.orders AS o JOIN public.receipts AS r ON r.order_id = o.order_id WHERE o.case_no = c.case_no
    UNION ALL
    SELECT e.at, e.what, e.text, NULL, k.order_id, k.receipt_no, e.place, 'receipt', k.contradiction_no, NULL, NULL
    FROM public.contradictions AS k
    CROSS JOIN LATERAL (
        VALUES (k.found_at, 'contradicted', 'stands as ' || k.ours || ', and the rail says ' || k.rails, 5),
               (k.resolved_at, 'resolved', k.resolution || ' by ' || k.resolved_by || ' and ' || k.approved_by || ': ' || k.reason, 6)
    ) AS e (at, what, text, place)
    WHERE k.case_no = c.case_no AND e.at IS NOT NULL
    UNION ALL
    SELECT x.made_at, 'published', coalesce(substring(encode(x.value, 'escape') FROM '"status" *: *"([A-Z_]{1,30})"') || ' ', '') || 'on ' || x.topic,
           x.message_no, x.order_id, NULL, 10, 'status', x.outbox_no, NULL, NULL
    FROM public.messages AS m JOIN public.outbox AS x ON x.message_no = m.message_no WHERE m.case_no = c.case_no
    UNION ALL
    SELECT e.at, e.what, 'simulation ' || s.request_no || e.text, s.message_no, NULL, NULL, e.place, 'simulation', s.request_no, s.request_no, NULL
    FROM public.simulation_requests AS s
    CROSS JOIN LATERAL (
        VALUES (s.requested_at, 'simulation asked for', ' for ' || coalesce(nullif(s.caller, ''), s.asker), 12),
               (s.ended_at, 'simulation ended', ': ' || s.state, 13)
    ) AS e (at, what, text, place)
    WHERE s.case_no = c.case_no AND e.at IS NOT NULL
    UNION ALL
    SELECT a.at, 'acted', a.what || ' by ' || (a.note::jsonb ->> 'by') || coalesce(' and ' || (a.note::jsonb ->> 'approved_by'), '') || ': '
               || (a.note::jsonb ->> 'reason'),
           NULL, b.order_id, b.receipt_no, 2, 'act', a.seq, NULL, (a.note::jsonb ->> 'approval')::bigint
    FROM (
        SELECT o.order_id::text AS subject, o.order_id, NULL::bigint AS receipt_no FROM public.orders AS o WHERE o.case_no = c.case_no
        UNION ALL
        SELECT 'receipt ' || r.receipt_no, o.order_id, r.receipt_no
        FROM public.orders AS o JOIN public.receipts AS r ON r.order_id = o.order_id WHERE o.case_no = c.case_no
        UNION ALL
        SELECT 'simulation ' || s.request_no, NULL, NULL FROM public.simulation_requests AS s WHERE s.case_no = c.case_no
    ) AS b
    JOIN public.audit AS a ON a.chain = 0 AND a.note::jsonb ->> 'subject' = b.subject
    UNION ALL
    SELECT e.at, e.what, p.act || ' by ' || e.who || ': ' || e.text, NULL, o.order_id, NULL, e.place, 'act', p.approval_no, NULL, p.approval_no
    FROM public.orders AS o
    JOIN public.approvals AS p ON p.subject = o.order_id::text
    CROSS JOIN LATERAL (
        VALUES (p.asked_at, 'asked for', p.asked_by, p.reason, 14),
               (p.decided_at, 'approval ' || p.state, p.decided_by, coalesce(p.decided_because, p.outcome, ''), 15)
    ) AS e (at, what, who, text, place)
    WHERE o.case_no = c.case_no AND e.at IS NOT NULL
    UNION ALL
    SELECT a.at, a.what, 'entry ' || a.seq || ' of the case''s chain', a.message_no, a.order_id, a.receipt_no, 16, 'case', a.seq, NULL, NULL
    FROM public.audit AS a
    WHERE a.chain = c.case_no AND a.what IN ('imported', 'left out', 'forgotten', 'migrated', 'requeued', 'check outdated')
) AS t;

-- What every version of a payment pays, or would: those in force, and those before and after them.
CREATE VIEW kvitt_views.payment_spans AS
SELECT p.case_no, p.payment_id, p.version, p.order_id, p.area, p.action, p.state, p.superseded,
       p.state = 'accepted' AND NOT p.superseded AND p.action <> 'DELETE' AS is_in_force, d.doc ->> 'benefit' AS benefit,
       coalesce(e.period ->> 'rate_type', d.doc ->> 'rate_type') AS rate_type, (e.period ->> 'start')::date AS start_on,
       (e.period ->> 'end')::date AS end_on, (e.period ->> 'amount_kroner')::bigint AS amount_kroner
FROM public.payments AS p
CROSS JOIN LATERAL (SELECT convert_from(p.document, 'UTF8')::jsonb AS doc OFFSET 0) AS d
CROSS JOIN LATERAL jsonb_array_elements(d.doc -> 'periods') AS e (period)
WHERE p.action <> 'DELETE';
