-- Notes of cases, checks of the whole store and owners of leases change under pages that are live.

CREATE OR REPLACE VIEW kvitt_views.changes AS
SELECT p.part, sum(pg_stat_get_tuples_inserted(p.relation) + pg_stat_get_tuples_updated(p.relation)
                   + pg_stat_get_tuples_deleted(p.relation))::bigint AS changes
FROM (VALUES ('messages', 'public.messages'::regclass), ('messages', 'public.deferred'), ('messages', 'public.dead_letters'),
             ('orders', 'public.orders'), ('orders', 'public.contradictions'), ('orders', 'public.alarms'), ('orders', 'public.stops'),
             ('receipts', 'public.receipts'), ('published', 'public.outbox'), ('records', 'public.log_records'),
             ('audit', 'public.audit'), ('approvals', 'public.approvals'), ('jobs', 'public.jobs'), ('jobs', 'public.rail_alarms'),
             ('jobs', 'public.lease_owners'), ('jobs', 'public.check_runs'), ('notes', 'console.case_notes'),
             ('reconciliation', 'public.reconciliation_runs'), ('reconciliation', 'public.reconciliation_messages'),
             ('reconciliation', 'public.reconciliation_alarms'), ('simulations', 'public.simulation_requests'),
             ('payouts', 'payouts.payouts'), ('payouts', 'payouts.saga_steps'), ('ledger', 'ledger.entries'), ('ledger', 'ledger.plans'),
             ('parties', 'parties.parties')) AS p (part, relation)
GROUP BY p.part;
