-- Jobs run all the time, and most pages show them only when one has failed: those hear of alarms, to which failures of jobs belong. The check
-- of the whole store has a part of its own.

CREATE OR REPLACE VIEW kvitt_views.changes AS
SELECT u.part, sum(u.changes)::bigint AS changes
FROM (
    SELECT p.part, pg_stat_get_tuples_inserted(p.relation) + pg_stat_get_tuples_updated(p.relation) + pg_stat_get_tuples_deleted(p.relation) AS changes
    FROM (VALUES ('messages', 'public.messages'::regclass), ('messages', 'public.deferred'), ('messages', 'public.dead_letters'),
                 ('orders', 'public.orders'), ('orders', 'public.contradictions'), ('orders', 'public.alarms'), ('orders', 'public.stops'),
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
