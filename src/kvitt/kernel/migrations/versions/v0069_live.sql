-- What changes, as the server counts it anyway, for pages that are live; and which processes play which roles, and how they do.

-- Nothing writes for this: a look reads a few counters in memory. They grow with what is rolled back too, and begin anew after a crash.
CREATE VIEW kvitt_views.changes AS
SELECT p.part, sum(pg_stat_get_tuples_inserted(p.relation) + pg_stat_get_tuples_updated(p.relation)
                   + pg_stat_get_tuples_deleted(p.relation))::bigint AS changes
FROM (VALUES ('messages', 'public.messages'::regclass), ('messages', 'public.deferred'), ('messages', 'public.dead_letters'),
             ('orders', 'public.orders'), ('orders', 'public.contradictions'), ('orders', 'public.alarms'), ('orders', 'public.stops'),
             ('receipts', 'public.receipts'), ('published', 'public.outbox'), ('records', 'public.log_records'),
             ('audit', 'public.audit'), ('approvals', 'public.approvals'), ('jobs', 'public.jobs'), ('jobs', 'public.rail_alarms'),
             ('reconciliation', 'public.reconciliation_runs'), ('reconciliation', 'public.reconciliation_messages'),
             ('reconciliation', 'public.reconciliation_alarms'), ('simulations', 'public.simulation_requests'),
             ('payouts', 'payouts.payouts'), ('payouts', 'payouts.saga_steps'), ('ledger', 'ledger.entries'), ('ledger', 'ledger.plans'),
             ('parties', 'parties.parties')) AS p (part, relation)
GROUP BY p.part;

CREATE TABLE processes (
    -- The name under which it takes leases.
    process  text        PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at  timestamptz NOT NULL DEFAULT now(),
    roles    jsonb       NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE processes IS 'Processes of kvitt and how the roles of each do, written by itself every second; one that ends in order takes its row out.';

-- Of a process that has not been seen for so long nobody knows how it does.
CREATE VIEW kvitt_views.roles AS
SELECT p.process, p.began_at, p.seen_at, p.seen_at > now() - interval '3 seconds' AS answers, r.role, r.condition, r.since, r.at_fault
FROM public.processes AS p
CROSS JOIN LATERAL jsonb_to_recordset(p.roles) AS r (role text, condition text, since timestamptz, at_fault text);
