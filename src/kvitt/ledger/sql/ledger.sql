-- name: lock_plans
-- Locks the plans that exist, in sorted order, and returns their states, and when each was changed last.
SELECT p.plan_id, p.state, p.changed_at
FROM ledger.plans AS p JOIN unnest(%b::text[]) AS w (plan_id) ON p.plan_id = w.plan_id
ORDER BY p.plan_id
FOR UPDATE OF p;

-- name: postings_of_plans
-- The postings of plans, batch by batch, as they were held.
SELECT p.plan_id, p.batch_id, p.source, p.target, p.amount, p.currency, p.description
FROM unnest(%b::text[]) AS w (plan_id)
CROSS JOIN LATERAL (SELECT * FROM ledger.postings AS q WHERE q.plan_id = w.plan_id OFFSET 0) AS p
ORDER BY p.plan_id, p.batch_id, p.position;

-- name: lock_accounts
-- Locks accounts in sorted order and returns their totals, and the last moment of each.
SELECT a.account_id, a.currency, a.description, a.created_at, a.posted, a.available_min, a.available_max, a.entries, a.last_at
FROM ledger.accounts AS a JOIN unnest(%b::bigint[]) AS w (account_id) ON a.account_id = w.account_id
ORDER BY a.account_id
FOR UPDATE OF a;

-- name: answers_of_steps
-- What was answered to steps: the accounts that each touched, as it touched them, with the totals after it.
SELECT s.plan_id, s.operation, s.batch_id, s.at, a.account_id, a.currency, a.description, a.created_at, e.posted, e.available_min, e.available_max
FROM unnest(%b::text[], %b::text[], %b::bigint[]) AS w (plan_id, operation, batch_id)
JOIN ledger.steps AS s ON s.plan_id = w.plan_id AND s.operation = w.operation AND s.batch_id = w.batch_id
CROSS JOIN LATERAL unnest(s.accounts, s.entries) WITH ORDINALITY AS t (account_id, entry, position)
JOIN ledger.entries AS e ON e.account_id = t.account_id AND e.entry = t.entry
JOIN ledger.accounts AS a ON a.account_id = t.account_id
ORDER BY s.plan_id, s.operation, s.batch_id, t.position;

-- name: add_plans
-- Stores plans that are held for the first time; one that another transaction has stored meanwhile is refused by the primary key.
INSERT INTO ledger.plans (plan_id, state, held_at, changed_at) SELECT * FROM unnest(%b::text[], %b::text[], %b::timestamptz[], %b::timestamptz[]);

-- name: step_plans
-- Moves plans that this transaction has locked, along the legal arcs only; one that gets another batch stays held.
UPDATE ledger.plans AS p SET state = s.state, changed_at = s.changed_at
FROM unnest(%b::text[], %b::text[], %b::timestamptz[]) AS s (plan_id, state, changed_at)
WHERE p.plan_id = s.plan_id AND (p.state = 'held') IS TRUE;

-- name: add_postings
-- Stores the postings of new batches.
INSERT INTO ledger.postings (plan_id, batch_id, position, source, target, amount, currency, description)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::integer[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[]);

-- name: add_steps
-- Stores what was done to plans, with the entries that it made; `accounts` and `entries` come as texts of arrays.
INSERT INTO ledger.steps (plan_id, operation, batch_id, at, accounts, entries, actor)
SELECT s.plan_id, s.operation, s.batch_id, s.at, s.accounts::bigint[], s.entries::bigint[], s.actor
FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::timestamptz[], %b::text[], %b::text[], %b::text[])
     AS s (plan_id, operation, batch_id, at, accounts, entries, actor);

-- name: add_entries
-- Appends to the histories of accounts; the primary key refuses two entries under one number.
INSERT INTO ledger.entries (account_id, entry, at, plan_id, operation, batch_id, posted, available_min, available_max)
SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::timestamptz[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[]);

-- name: step_accounts
-- Writes back the totals of accounts that this transaction has locked: each account once, however many steps touched it.
UPDATE ledger.accounts AS a SET posted = s.posted, available_min = s.available_min, available_max = s.available_max, entries = s.entries, last_at = s.last_at
FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::timestamptz[])
     AS s (account_id, posted, available_min, available_max, entries, last_at)
WHERE a.account_id = s.account_id;

-- name: add_accounts
-- Makes accounts; one whose request key was used before is not made again. Returns the ids in the order asked for.
WITH made AS (
    INSERT INTO ledger.accounts (currency, description, created_at, request_key, made_by)
    SELECT w.currency, w.description, w.created_at, w.request_key, w.made_by
    FROM unnest(%(currencies)b::text[], %(descriptions)b::text[], %(created)b::timestamptz[], %(keys)b::text[], %(actors)b::text[])
         WITH ORDINALITY AS w (currency, description, created_at, request_key, made_by, ordinal)
    ORDER BY w.ordinal
    ON CONFLICT (request_key) DO NOTHING
    RETURNING account_id, request_key, currency, description, created_at
)
SELECT account_id, request_key, currency, description, created_at FROM made ORDER BY account_id;

-- name: accounts_by_key
-- The accounts that were made under request keys.
SELECT account_id, request_key, currency, description, created_at FROM ledger.accounts WHERE request_key = ANY (%b::text[]);

-- name: account
-- One account with its latest totals, without a lock.
SELECT account_id, currency, description, created_at, posted, available_min, available_max FROM ledger.accounts WHERE account_id = %b;

-- name: accounts
-- Accounts with their latest totals, without a lock; those that exist.
SELECT a.account_id, a.currency, a.description, a.created_at, a.posted, a.available_min, a.available_max
FROM unnest(%b::bigint[]) AS w (account_id) JOIN ledger.accounts AS a ON a.account_id = w.account_id;

-- name: plan
-- The state of a plan; waits for whoever is at work on it.
SELECT state, held_at, changed_at FROM ledger.plans WHERE plan_id = %b FOR SHARE;

-- name: close_past
-- Sees to it that no entry of an account will be earlier than a moment. Waits for whoever is at work on the account, but only where its
-- last moment is before that one; else whoever is at work notes none that is earlier.
UPDATE ledger.accounts SET last_at = %(before)b WHERE account_id = %(account_id)b AND last_at < %(before)b;

-- name: totals_before
-- The totals of an account after the last entry before a moment; no row when it had none.
SELECT posted, available_min, available_max FROM ledger.entries
WHERE account_id = %(account_id)b AND at < %(before)b
ORDER BY entry DESC LIMIT 1;

-- name: entries_after
-- A page of an account's history, oldest first.
SELECT entry, at, plan_id, operation, batch_id, posted, available_min, available_max FROM ledger.entries
WHERE account_id = %(account_id)b AND entry > %(after)b
ORDER BY entry LIMIT %(limit)b;

-- name: list_accounts
-- A page of accounts by id.
SELECT account_id, currency, description, created_at, posted, available_min, available_max FROM ledger.accounts
WHERE account_id > %(after)b ORDER BY account_id LIMIT %(limit)b;
