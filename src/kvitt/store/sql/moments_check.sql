-- Moments grow along every chain that has a lock: what `kvitt check` compares. Each statement walks one table in the order of its key.

-- name: accounts_going_back
-- Entries that are earlier than the one before them on their account; those that were there before moments were taken under the lock are
-- passed by.
SELECT NULL::bigint, w.account_id::text, 'has an entry ' || w.entry || ' that is earlier than the one before'
FROM (SELECT account_id, entry, at, lag(at) OVER (PARTITION BY account_id ORDER BY entry) AS before FROM ledger.entries) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'account' AND m.subject = w.account_id::text AND w.entry <= m.until);

-- name: accounts_behind
-- Accounts whose last moment is earlier than their last entry: the next entry could be earlier as well.
SELECT NULL::bigint, a.account_id::text, 'has an entry that is later than its last moment'
FROM ledger.accounts AS a JOIN ledger.entries AS e ON e.account_id = a.account_id AND e.entry = a.entries
WHERE e.at > a.last_at;

-- name: entries_beside_steps
-- Entries with another moment than the step that made them.
SELECT NULL::bigint, e.account_id::text, 'has an entry ' || e.entry || ' with another moment than its step'
FROM ledger.entries AS e
JOIN ledger.steps AS s ON s.plan_id = e.plan_id AND s.operation = e.operation AND s.batch_id = e.batch_id
WHERE e.at <> s.at;

-- name: plans_going_back
-- Plans with a step that is earlier than the one before: batches by their number, the end last.
SELECT NULL::bigint, w.plan_id, 'has a step that is earlier than the one before'
FROM (SELECT plan_id, batch_id, at, lag(at) OVER (PARTITION BY plan_id ORDER BY batch_id) AS before FROM ledger.steps) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'plan' AND m.subject = w.plan_id AND w.batch_id <= m.until);

-- name: plans_beside_steps
-- Plans that were not changed last when their last step was.
SELECT NULL::bigint, p.plan_id, 'was changed at another moment than its last step'
FROM ledger.plans AS p JOIN (SELECT plan_id, max(at) AS at FROM ledger.steps GROUP BY plan_id) AS s ON s.plan_id = p.plan_id
WHERE p.changed_at <> s.at;

-- name: payouts_going_back
-- Events of payouts that are earlier than the one before, and a first one that is earlier than its payout.
SELECT NULL::bigint, w.payout_id, 'has an event ' || w.sequence || ' that is earlier than what was before it'
FROM (
    SELECT e.payout_id, e.sequence, e.at,
           CASE WHEN e.sequence = 0 THEN p.created_at ELSE lag(e.at) OVER (PARTITION BY e.payout_id ORDER BY e.sequence) END AS before
    FROM payouts.events AS e JOIN payouts.payouts AS p ON p.payout_id = e.payout_id
) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'payout' AND m.subject = w.payout_id AND w.sequence <= m.until);

-- name: payouts_beside_events
-- Payouts whose last moment is not that of their last event.
SELECT NULL::bigint, p.payout_id, 'has another last moment than its last event'
FROM payouts.payouts AS p JOIN (SELECT payout_id, max(at) AS at FROM payouts.events GROUP BY payout_id) AS e ON e.payout_id = p.payout_id
WHERE p.last_at <> e.at;

-- name: payouts_before_steps
-- Events of payouts that are earlier than what was done in our own ledger for them.
SELECT NULL::bigint, p.payout_id, 'was ' || e.status || ' before its plan was changed'
FROM payouts.payouts AS p
JOIN payouts.events AS e ON e.payout_id = p.payout_id AND e.sequence = p.sequence
JOIN ledger.plans AS l ON l.plan_id = coalesce(p.reversal_plan_id, p.plan_id)
WHERE p.ledger = 'own' AND e.at < l.changed_at
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'payout' AND m.subject = p.payout_id AND e.sequence <= m.until);

-- name: chains_going_back
-- Entries of audit chains that are earlier than the one before; chain 0 is that of the operators.
SELECT nullif(w.chain, 0), w.seq::text, 'is earlier than the entry before'
FROM (SELECT chain, seq, at, lag(at) OVER (PARTITION BY chain ORDER BY seq) AS before FROM audit) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'chain' AND m.subject = w.chain::text AND w.seq <= m.until);

-- name: chains_behind
-- Cases, and the operators' chain, whose last moment is not the latest one of their chain.
SELECT nullif(c.chain, 0), 'last_at', 'is not the latest moment of the chain'
FROM (SELECT case_no AS chain, audit_seq, last_at FROM cases UNION ALL SELECT chain, audit_seq, last_at FROM operators) AS c
JOIN (SELECT chain, max(at) AS at FROM audit GROUP BY chain) AS a ON a.chain = c.chain
WHERE c.last_at <> a.at;

-- name: told_going_back
-- What was told of a message earlier than what was told of it before.
SELECT w.case_no, w.outbox_no::text, 'tells of a message earlier than what was told of it before'
FROM (
    SELECT o.case_no, o.message_no, o.outbox_no, o.made_at, lag(o.made_at) OVER (PARTITION BY o.message_no ORDER BY o.outbox_no) AS before
    FROM outbox AS o WHERE o.message_no IS NOT NULL
) AS w
WHERE w.made_at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'message' AND m.subject = w.message_no::text AND w.outbox_no <= m.until);
