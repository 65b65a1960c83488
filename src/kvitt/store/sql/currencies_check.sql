-- Amounts are compared, added and moved in one currency: what `kvitt check` proves of everything that has one.

-- name: postings_of_other_currencies
-- Postings on accounts that are in another currency.
SELECT NULL::bigint, q.plan_id, 'moves ' || q.currency || ' on account ' || a.account_id || ', which is in ' || a.currency
FROM ledger.postings AS q
CROSS JOIN LATERAL (VALUES (q.source), (q.target)) AS s (account_id)
JOIN ledger.accounts AS a ON a.account_id = s.account_id
WHERE a.currency <> q.currency;

-- name: movements_of_other_currencies
-- Movements of payouts in another currency than the payout.
SELECT NULL::bigint, c.payout_id, 'is in ' || p.currency || ', and moves ' || c.currency
FROM payouts.cash_flow AS c JOIN payouts.payouts AS p ON p.payout_id = c.payout_id
WHERE c.currency <> p.currency;

-- name: accounts_of_other_currencies
-- Accounts of the cash flows of payouts in our own ledger that are in another currency than the payout.
SELECT NULL::bigint, c.payout_id, 'is in ' || p.currency || ', and moves money of account ' || a.account_id || ', which is in ' || a.currency
FROM payouts.cash_flow AS c
JOIN payouts.payouts AS p ON p.payout_id = c.payout_id
CROSS JOIN LATERAL (VALUES (c.source), (c.target)) AS s (account_id)
JOIN ledger.accounts AS a ON a.account_id = s.account_id
WHERE p.ledger = 'own' AND a.currency <> p.currency;

-- name: plans_of_other_currencies
-- Plans of payouts in our own ledger with a posting in another currency than the payout.
SELECT NULL::bigint, p.payout_id, 'is in ' || p.currency || ', and its plan ' || q.plan_id || ' moves ' || q.currency
FROM payouts.payouts AS p
CROSS JOIN LATERAL (VALUES (p.plan_id), (p.reversal_plan_id)) AS l (plan_id)
JOIN ledger.postings AS q ON q.plan_id = l.plan_id
WHERE p.ledger = 'own' AND q.currency <> p.currency;
