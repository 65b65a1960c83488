-- Statements that fill a ledger with what plans held and committed one after the other would have left, in closed form: plan n moves
-- provider -> system 100, system -> merchant 95 and merchant -> provider 1, so that the k-th plan of an account finds it at (k - 1) times
-- what one plan gives it. `kvitt check` is run on the result and accepts it.

-- name: make_accounts
-- Accounts by id: first the providers, then the systems, then the merchants, with the totals that all plans give them.
INSERT INTO ledger.accounts (account_id, currency, created_at, posted, available_min, available_max, entries, last_at)
SELECT a.account_id, 'RUB', now(), a.net * used.plans, a.net * used.plans, a.net * used.plans, 2 * used.plans, now()
FROM (
    SELECT n + 1 AS account_id,
           CASE WHEN n < %(few)s::bigint THEN -99 WHEN n < 2 * %(few)s::bigint THEN 5 ELSE 94 END AS net,
           CASE WHEN n < %(few)s::bigint THEN n WHEN n < 2 * %(few)s::bigint THEN n - %(few)s::bigint ELSE n - 2 * %(few)s::bigint END AS place,
           CASE WHEN n < 2 * %(few)s::bigint THEN %(few)s::bigint ELSE %(many)s::bigint END AS turn
    FROM generate_series(0, 2 * %(few)s::bigint + %(many)s::bigint - 1) AS n
) AS a
CROSS JOIN LATERAL (SELECT (%(plans)s::bigint - a.place + a.turn - 1) / a.turn AS plans) AS used;

-- name: make_plans
-- The plans, all committed.
INSERT INTO ledger.plans (plan_id, state, held_at, changed_at)
SELECT '1565358673238_' || n, 'committed', now(), now() FROM generate_series(0, %(plans)s::bigint - 1) AS n;

-- name: make_postings
-- Three postings for each plan.
INSERT INTO ledger.postings (plan_id, batch_id, position, source, target, amount, currency, description)
SELECT '1565358673238_' || n, 1, p.position, p.source, p.target, p.amount, 'RUB', 'transfer'
FROM generate_series(0, %(plans)s::bigint - 1) AS n
CROSS JOIN LATERAL (
    SELECT 1 + n %% %(few)s::bigint AS provider, 1 + %(few)s::bigint + n %% %(few)s::bigint AS system,
           1 + 2 * %(few)s::bigint + n %% %(many)s::bigint AS merchant
) AS a
CROSS JOIN LATERAL (
    VALUES (0, provider, system, 100), (1, system, merchant, 95), (2, merchant, provider, 1)
) AS p (position, source, target, amount);

-- name: make_steps
-- A hold and a commit for each plan; the k-th plan of an account makes its entries 2k - 1 and 2k.
INSERT INTO ledger.steps (plan_id, operation, batch_id, at, accounts, entries)
SELECT '1565358673238_' || n, s.operation, s.batch_id, now(),
       ARRAY[1 + n %% %(few)s::bigint, 1 + %(few)s::bigint + n %% %(few)s::bigint, 1 + 2 * %(few)s::bigint + n %% %(many)s::bigint],
       ARRAY[2 * (n / %(few)s::bigint) + s.place, 2 * (n / %(few)s::bigint) + s.place, 2 * (n / %(many)s::bigint) + s.place]
FROM generate_series(0, %(plans)s::bigint - 1) AS n
CROSS JOIN (VALUES ('HOLD', 1::bigint, 1), ('COMMIT', 9223372036854775807, 2)) AS s (operation, batch_id, place);

-- name: make_entries
-- What each step did to each of its accounts.
INSERT INTO ledger.entries (account_id, entry, at, plan_id, operation, batch_id, posted, available_min, available_max)
SELECT a.account_id, 2 * a.earlier + s.place, now(), '1565358673238_' || n, s.operation, s.batch_id,
       a.net * (a.earlier + s.place - 1),
       a.net * (a.earlier + CASE WHEN s.place = 2 OR a.net < 0 THEN 1 ELSE 0 END),
       a.net * (a.earlier + CASE WHEN s.place = 2 OR a.net > 0 THEN 1 ELSE 0 END)
FROM generate_series(0, %(plans)s::bigint - 1) AS n
CROSS JOIN (VALUES ('HOLD', 1::bigint, 1), ('COMMIT', 9223372036854775807, 2)) AS s (operation, batch_id, place)
CROSS JOIN LATERAL (
    VALUES (1 + n %% %(few)s::bigint, n / %(few)s::bigint, -99),
           (1 + %(few)s::bigint + n %% %(few)s::bigint, n / %(few)s::bigint, 5),
           (1 + 2 * %(few)s::bigint + n %% %(many)s::bigint, n / %(many)s::bigint, 94)
) AS a (account_id, earlier, net);

-- name: number_on
-- New accounts get ids behind those that were given.
SELECT setval(pg_get_serial_sequence('ledger.accounts', 'account_id'), (SELECT max(account_id) FROM ledger.accounts));
