-- name: accounts
-- Accounts before a place, newest first.
SELECT account_id, currency, description, posted_minor, available_min_minor, available_max_minor, entries, created_at, request_key
FROM kvitt_views.ledger_accounts WHERE account_id < %(before)s
ORDER BY account_id DESC
LIMIT %(limit)s;

-- name: account
-- One account.
SELECT account_id, currency, description, posted_minor, available_min_minor, available_max_minor, entries, created_at, request_key
FROM kvitt_views.ledger_accounts WHERE account_id = %(account_id)s;

-- name: entries
-- Entries of an account before a place, newest first, each with how it changed the amounts.
SELECT e.entry, e.at, e.plan_id, e.operation, e.batch_id, e.posted_minor, e.available_min_minor, e.available_max_minor,
       e.posted_minor - coalesce(b.posted_minor, 0) AS change_minor
FROM kvitt_views.ledger_entries AS e
LEFT JOIN kvitt_views.ledger_entries AS b ON b.account_id = %(account_id)s AND b.entry = e.entry - 1
WHERE e.account_id = %(account_id)s AND e.entry >= %(first)s AND e.entry < %(before)s
ORDER BY e.entry DESC
LIMIT %(limit)s;

-- name: moment_of_entry
-- When an entry of an account was made.
SELECT at FROM kvitt_views.ledger_entries WHERE account_id = %(account_id)s AND entry = %(entry)s;

-- name: open_plans
-- Plans that are held and touch an account, among its newest entries, longest held first, with what each would give it or take of it.
WITH looked AS (
    SELECT e.plan_id
    FROM (SELECT plan_id, operation FROM kvitt_views.ledger_entries WHERE account_id = %(account_id)s
          ORDER BY entry DESC LIMIT %(looked_through)s) AS e
    WHERE e.operation = 'HOLD'
    GROUP BY e.plan_id
)
SELECT l.plan_id, p.held_at, n.net_minor
FROM looked AS l
CROSS JOIN LATERAL (SELECT held_at, state FROM kvitt_views.ledger_plans WHERE plan_id = l.plan_id OFFSET 0) AS p
CROSS JOIN LATERAL (
    SELECT coalesce(sum(CASE %(account_id)s WHEN s.target THEN s.amount_minor WHEN s.source THEN -s.amount_minor END), 0)::bigint AS net_minor
    FROM kvitt_views.ledger_postings AS s WHERE s.plan_id = l.plan_id OFFSET 0
) AS n
WHERE p.state = 'held' AND n.net_minor <> 0
ORDER BY p.held_at, l.plan_id
LIMIT %(limit)s;

-- name: plan
-- One plan.
SELECT plan_id, state, held_at, changed_at FROM kvitt_views.ledger_plans WHERE plan_id = %(plan_id)s;

-- name: steps
-- Its steps, in the order in which they were taken.
SELECT operation, batch_id, at, actor
FROM kvitt_views.ledger_steps WHERE plan_id = %(plan_id)s ORDER BY at, batch_id NULLS LAST LIMIT %(limit)s;

-- name: postings
-- Its postings by batch.
SELECT batch_id, position, source, target, amount_minor, currency, description
FROM kvitt_views.ledger_postings WHERE plan_id = %(plan_id)s ORDER BY batch_id, position LIMIT %(limit)s;

-- name: payout_of_plan
-- The payout that has the plan.
SELECT payout_id FROM kvitt_views.payouts
WHERE payout_id = %(payout_id)s AND (plan_id = %(plan_id)s OR reversal_plan_id = %(plan_id)s);
