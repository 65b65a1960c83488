-- What the role `kvitt` needs to run, and no more: psql -f grants.sql, as the owner of the schema.
-- Run it after the first `kvitt db upgrade` and after every later one: a new table has no rights of its own.

GRANT USAGE ON SCHEMA public, kvitt_views, queue, rail, ledger, payouts, parties, rest, console TO kvitt;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public, queue, rail, ledger, payouts, parties, rest, console TO kvitt;
GRANT SELECT ON ALL TABLES IN SCHEMA kvitt_views TO kvitt;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public, queue, rail, ledger, payouts, parties, rest, console TO kvitt;

-- Only what has been consumed, a stop that has been lifted, a limit that has been cleared, a process that has ended, what is reported no more as
-- open, pairs of cases that hold each other's orders again, and what the console need not keep are ever deleted: also who owned what a month ago,
-- and whether the hub kept up.
GRANT DELETE ON queue.message, queue.hand_out, unrelayed, stops, source_limits, processes, reports_open, exempt_pairs, lease_owners, check_runs, keeping_up, console.logins, console.sessions, console.revealed_cases, console.done_forms, console.looks TO kvitt;

-- Facts of the ledger and of payouts are only ever added; triggers refuse the same to whoever has more rights.
REVOKE UPDATE ON ledger.postings, ledger.steps, ledger.entries, payouts.cash_flow, payouts.events FROM kvitt;

-- Who looked at whom is only ever added, and cleared away when it is old; a trigger keeps what is not.
REVOKE UPDATE ON console.looks FROM kvitt;
-- What people noted is only ever added.
REVOKE UPDATE ON console.case_notes FROM kvitt;

-- What has been applied, and since when rows have their form, is the owner's to say.
REVOKE INSERT, UPDATE ON migrations, backfills, early_moments, publishing FROM kvitt;
