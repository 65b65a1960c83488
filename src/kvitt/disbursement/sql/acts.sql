-- Who did what: the acts of operators, what callers had done over the APIs, and what a case's own chain notes.

-- name: acts_of_operators
-- Acts of operators, newest first; `subjects` null means about anything, `acts` null called anyhow, else
-- beginning so. The words stand in `note` as JSON.
SELECT a.seq, a.at, a.what, a.note, NULL::bytea AS digest, NULL::bytea AS hash
FROM audit AS a
WHERE a.chain = 0 AND a.at >= %(since)s AND a.at < %(until)s
  AND (%(acts)s::text IS NULL OR starts_with(a.what, %(acts)s))
  AND (%(subjects)s::text[] IS NULL OR a.note::jsonb ->> 'subject' = ANY (%(subjects)s::text[]))
  AND (%(name)s::text IS NULL
       OR strpos(lower(concat_ws(' ', a.note::jsonb ->> 'by', a.note::jsonb ->> 'approved_by')), %(name)s) > 0)
ORDER BY a.seq DESC
LIMIT %(limit)s;

-- name: act_of_operator
-- One act of an operator, with its place in the chain.
SELECT seq, at, what, note, digest, hash FROM audit WHERE chain = 0 AND seq = %(seq)s;

-- name: entries_of_case
-- The chain of a case, newest first; `order_id` null means about anything, else about this order, or the message that it was made of.
SELECT a.seq, a.at, a.what, a.message_no, a.order_id::text, a.receipt_no, a.note, NULL::bytea AS digest, NULL::bytea AS hash
FROM audit AS a
WHERE a.chain = %(case_no)s AND a.at >= %(since)s AND a.at < %(until)s
  AND (%(order_id)s::uuid IS NULL OR a.order_id = %(order_id)s::uuid
       OR a.message_no = (SELECT o.message_no FROM orders AS o WHERE o.order_id = %(order_id)s::uuid))
ORDER BY a.seq DESC
LIMIT %(limit)s;

-- name: entry_of_case
-- One entry in the chain of a case.
SELECT seq, at, what, message_no, order_id::text, receipt_no, note, digest, hash FROM audit WHERE chain = %(case_no)s AND seq = %(seq)s;

-- name: case_number
-- The number of a case; the number is its chain.
SELECT case_no FROM cases WHERE scheme = %(scheme)s AND case_id = %(case_id)s;

-- name: orders_of_case
-- The ids of a case's orders: what operators' acts about the case name.
SELECT order_id::text FROM orders WHERE case_no = %(case_no)s;

-- name: case_of_order
-- The case that an order belongs to.
SELECT c.case_no, c.scheme, c.case_id FROM orders AS o JOIN cases AS c ON c.case_no = o.case_no WHERE o.order_id = %(order_id)s;

-- name: changes_of_payouts
-- Changes of payouts with who asked for them, newest first; `payout_id` null means of any that somebody asked for over an API.
SELECT e.payout_id, e.sequence, e.at, e.status, e.actor, p.cancel_details, NULL::bytea AS hash
FROM payouts.events AS e JOIN payouts.payouts AS p ON p.payout_id = e.payout_id
WHERE e.at >= %(since)s AND e.at < %(until)s
  AND (e.payout_id = %(payout_id)s OR (%(payout_id)s::text IS NULL AND e.actor IS NOT NULL))
  AND (%(name)s::text IS NULL OR strpos(lower(e.actor::jsonb ->> 'name'), %(name)s) > 0)
ORDER BY e.at DESC, e.payout_id, e.sequence DESC
LIMIT %(limit)s;

-- name: change_of_payout
-- One change of a payout, with its place in the chain.
SELECT e.payout_id, e.sequence, e.at, e.status, e.actor, p.cancel_details, e.hash
FROM payouts.events AS e JOIN payouts.payouts AS p ON p.payout_id = e.payout_id
WHERE e.payout_id = %(payout_id)s AND e.sequence = %(sequence)s;

-- name: steps_of_plans
-- Steps of plans with who asked for them, newest first; `plan_id` null means of any that was asked for over an API and
-- is neither the plan nor the reversal of one of our payouts: their changes say it.
SELECT s.plan_id, s.operation, s.batch_id, s.at, s.actor
FROM ledger.steps AS s
WHERE s.at >= %(since)s AND s.at < %(until)s
  AND (s.plan_id = %(plan_id)s OR (%(plan_id)s::text IS NULL AND s.actor IS NOT NULL AND NOT EXISTS (
      SELECT FROM payouts.payouts AS p
      WHERE p.payout_id = substring(s.plan_id FROM '^(?:payout_|revert_payout_|[pu][0-9]+_)(.*)$')
        AND p.ledger = 'own' AND (p.plan_id = s.plan_id OR p.reversal_plan_id = s.plan_id))))
  AND (%(name)s::text IS NULL OR strpos(lower(s.actor::jsonb ->> 'name'), %(name)s) > 0)
ORDER BY s.at DESC, s.plan_id, s.operation, s.batch_id
LIMIT %(limit)s;

-- name: step_of_plan
-- One step of a plan.
SELECT plan_id, operation, batch_id, at, actor FROM ledger.steps WHERE plan_id = %(plan_id)s AND operation = %(operation)s AND batch_id = %(batch_id)s;

-- name: made_accounts
-- Accounts with who asked for them over an API, newest first.
SELECT a.account_id, a.created_at, a.made_by
FROM ledger.accounts AS a
WHERE a.made_by IS NOT NULL AND a.created_at >= %(since)s AND a.created_at < %(until)s
  AND (%(name)s::text IS NULL OR strpos(lower(a.made_by::jsonb ->> 'name'), %(name)s) > 0)
ORDER BY a.account_id DESC
LIMIT %(limit)s;

-- name: made_account
-- One account with who asked for it.
SELECT account_id, created_at, made_by FROM ledger.accounts WHERE account_id = %(account_id)s;

-- name: chains
-- Every entry of audit chains, each chain in its order, with where the row of its case, or of the operators, says that it ends; `chain` null means of
-- all, 0 of the operators.
SELECT a.chain, a.seq, a.at, a.what, a.message_no, a.order_id::text, a.receipt_no, a.digest, a.note, a.hash,
       coalesce(c.audit_seq, o.audit_seq, 0) AS last_seq, coalesce(c.last_event_hash, o.last_event_hash, '') AS last_hash
FROM audit AS a
LEFT JOIN cases AS c ON c.case_no = a.chain
LEFT JOIN operators AS o ON o.chain = a.chain
WHERE %(chain)s::bigint IS NULL OR a.chain = %(chain)s
ORDER BY a.chain, a.seq;

-- name: empty_chains
-- Chains that were begun, by the row of their case, or of the operators, and of which no entry is there.
SELECT h.chain, h.audit_seq
FROM (SELECT chain, audit_seq FROM operators UNION ALL SELECT case_no, audit_seq FROM cases) AS h
WHERE h.audit_seq > 0 AND (%(chain)s::bigint IS NULL OR h.chain = %(chain)s) AND NOT EXISTS (SELECT FROM audit AS a WHERE a.chain = h.chain);

-- name: payout_chains
-- Every event of payouts with its hash and the hash that its payout names last, each payout's in order; `payout_id` null means of all.
-- A payout without events has one row without an event.
SELECT coalesce(e.payout_id, p.payout_id) AS payout_id, e.sequence, e.at, e.body, e.actor, e.hash, p.last_event_hash
FROM payouts.payouts AS p FULL JOIN payouts.events AS e ON e.payout_id = p.payout_id
WHERE %(payout_id)s::text IS NULL OR coalesce(e.payout_id, p.payout_id) = %(payout_id)s
ORDER BY 1, 2;
