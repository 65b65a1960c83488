-- Requests to a rail to cancel an order that it may have: asked for by two people, sent once, and answered by a receipt.

CREATE TABLE cancellations (
    cancellation_id uuid        PRIMARY KEY,
    order_id        uuid        NOT NULL,
    number          integer     NOT NULL CHECK (number > 0),
    rail            text        NOT NULL,
    key_day         date,
    reason          text        NOT NULL,
    message         bytea       NOT NULL,
    asked_at        timestamptz NOT NULL,
    state           text        NOT NULL CHECK (state IN ('ready', 'sending', 'sent', 'unknown', 'agreed', 'refused', 'withdrawn')),
    sender          text,
    sent_at         timestamptz,
    resends         integer     NOT NULL DEFAULT 0,
    was_unknown     boolean     NOT NULL DEFAULT false,
    is_late         boolean     NOT NULL DEFAULT false,
    receipt_no      bigint,
    UNIQUE (order_id, number),
    CHECK ((receipt_no IS NOT NULL) = (state IN ('agreed', 'refused')))
);
CREATE INDEX cancellations_to_send ON cancellations (rail, asked_at) WHERE state IN ('ready', 'sending', 'unknown');
CREATE UNIQUE INDEX cancellations_open ON cancellations (order_id) WHERE state IN ('ready', 'sending', 'sent', 'unknown');
COMMENT ON TABLE cancellations IS 'Requests to a rail to cancel an order: what was sent, and what the rail answered.';
COMMENT ON COLUMN cancellations.key_day IS 'The day under whose key the order had left when it was asked to be cancelled, where that is another than its own.';
COMMENT ON COLUMN cancellations.sent_at IS 'When it was sent last.';
COMMENT ON COLUMN cancellations.resends IS 'How often two people have had it put once more; each time it is a message of its own to the queue.';
COMMENT ON COLUMN cancellations.was_unknown IS 'It may have come to the queue at some time, though nobody knows.';
COMMENT ON COLUMN cancellations.is_late IS 'The rail has not answered within the time in which it should since it was sent last.';
COMMENT ON COLUMN cancellations.receipt_no IS 'What the rail answered, first; the order has become what its receipts say, whatever this says.';

CREATE VIEW kvitt_views.cancellations AS
SELECT k.cancellation_id, k.order_id, o.case_no, k.number, k.rail, o.area, k.state, k.reason, k.asked_at, k.sent_at, r.received_at AS answered_at,
       k.receipt_no, k.resends
FROM public.cancellations AS k
JOIN public.orders AS o ON o.order_id = k.order_id
LEFT JOIN public.receipts AS r ON r.receipt_no = k.receipt_no;

-- One of which nobody knows whether it left, or that is not answered in time, waits for the rail's answer, or for a person; as long as the order
-- may be paid.
CREATE VIEW kvitt_views.attention_cancellations AS
SELECT CASE k.state WHEN 'unknown' THEN 'cancellation unknown' ELSE 'cancellation late' END AS what, o.case_no, c.scheme, c.case_id, o.area,
       k.order_id, o.message_no, NULL::bigint AS approval_no, CASE k.state WHEN 'unknown' THEN k.asked_at ELSE k.sent_at END AS since, o.sum_kroner,
       CASE k.state WHEN 'unknown' THEN 'nobody knows whether the request to cancel it reached the rail'
                    ELSE 'the rail has not answered the request to cancel it since' END AS why,
       'kvitt order cancel' AS ends_by, NULL::bigint AS dead_no
FROM public.cancellations AS k
JOIN public.orders AS o ON o.order_id = k.order_id
JOIN public.cases AS c ON c.case_no = o.case_no
WHERE (k.state = 'unknown' OR (k.state = 'sent' AND k.is_late)) AND o.state NOT IN ('rejected', 'withdrawn');

DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW kvitt_views.attention_else AS ' || rtrim(pg_get_viewdef('kvitt_views.attention_else'::regclass), E'; \n') || $view$
UNION ALL
SELECT what, case_no, scheme, case_id, area, order_id, message_no, approval_no, since, sum_kroner, why, ends_by, dead_no
FROM kvitt_views.attention_cancellations$view$;
    EXECUTE 'CREATE OR REPLACE VIEW kvitt_views.case_attention AS ' || rtrim(pg_get_viewdef('kvitt_views.case_attention'::regclass), E'; \n')
        || $view$
UNION ALL
SELECT case_no, what, area, order_id, message_no, since, sum_kroner, why, ends_by FROM kvitt_views.attention_cancellations$view$;
END
$$;

CREATE OR REPLACE VIEW kvitt_views.changes AS
SELECT u.part, sum(u.changes)::bigint AS changes
FROM (
    SELECT p.part, pg_stat_get_tuples_inserted(p.relation) + pg_stat_get_tuples_updated(p.relation) + pg_stat_get_tuples_deleted(p.relation) AS changes
    FROM (VALUES ('messages', 'public.messages'::regclass), ('messages', 'public.deferred'), ('messages', 'public.dead_letters'),
                 ('orders', 'public.orders'), ('orders', 'public.contradictions'), ('orders', 'public.alarms'), ('orders', 'public.stops'),
                 ('orders', 'public.cancellations'),
                 ('receipts', 'public.receipts'), ('published', 'public.outbox'), ('records', 'public.log_records'),
                 ('audit', 'public.audit'), ('approvals', 'public.approvals'), ('jobs', 'public.jobs'), ('jobs', 'public.lease_owners'),
                 ('alarms', 'public.rail_alarms'), ('checks', 'public.check_runs'), ('notes', 'console.case_notes'),
                 ('reconciliation', 'public.reconciliation_runs'), ('reconciliation', 'public.reconciliation_messages'),
                 ('reconciliation', 'public.reconciliation_alarms'), ('simulations', 'public.simulation_requests'),
                 ('payouts', 'payouts.payouts'), ('payouts', 'payouts.saga_steps'), ('ledger', 'ledger.entries'), ('ledger', 'ledger.plans'),
                 ('parties', 'parties.parties')) AS p (part, relation)
    UNION ALL
    SELECT 'alarms', j.tries FROM public.jobs AS j WHERE j.state = 'failed'
) AS u
GROUP BY u.part;
