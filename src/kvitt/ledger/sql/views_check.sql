-- What `kvitt check` proves of the views of the ledger: the amounts and states that pages show are those of its tables. Each returns the number of
-- a case (null), an id, and what is wrong.

-- name: ledger_accounts
-- Accounts that the view shows with other amounts than they have.
SELECT NULL::bigint, account_id::text, 'stands otherwise in the view of accounts'
FROM kvitt_views.ledger_accounts AS v
FULL JOIN ledger.accounts AS a USING (account_id)
WHERE (v.currency, v.posted_minor, v.available_min_minor, v.available_max_minor, v.entries, v.last_at) IS DISTINCT FROM
      (a.currency, a.posted, a.available_min, a.available_max, a.entries, a.last_at);

-- name: ledger_entries
-- Entries that the view shows with other amounts or moments than they have.
SELECT NULL::bigint, account_id || ' entry ' || entry, 'stands otherwise in the view of entries'
FROM kvitt_views.ledger_entries AS v
FULL JOIN ledger.entries AS e USING (account_id, entry)
WHERE (v.at, v.plan_id, v.operation, v.posted_minor, v.available_min_minor, v.available_max_minor) IS DISTINCT FROM
      (e.at, e.plan_id, e.operation, e.posted, e.available_min, e.available_max);

-- name: ledger_plans
-- Plans that the view shows in another state than theirs, or with other moments.
SELECT NULL::bigint, plan_id, 'stands otherwise in the view of plans'
FROM kvitt_views.ledger_plans AS v
FULL JOIN ledger.plans AS p USING (plan_id)
WHERE (v.state, v.held_at, v.changed_at) IS DISTINCT FROM (p.state, p.held_at, p.changed_at);

-- name: ledger_postings
-- Postings that the view shows with other amounts or accounts than they have.
SELECT NULL::bigint, plan_id || ' batch ' || batch_id || ' posting ' || position, 'stands otherwise in the view of postings'
FROM kvitt_views.ledger_postings AS v
FULL JOIN ledger.postings AS q USING (plan_id, batch_id, position)
WHERE (v.source, v.target, v.amount_minor, v.currency) IS DISTINCT FROM (q.source, q.target, q.amount, q.currency);

-- name: as_many_rows
-- Views that show more or fewer rows than there are: a row that is shown twice is twice in every sum.
SELECT NULL::bigint, n.view, 'shows ' || n.shown || ' rows, and there are ' || n.there
FROM (
    SELECT 'ledger_accounts', (SELECT count(*) FROM kvitt_views.ledger_accounts), (SELECT count(*) FROM ledger.accounts) UNION ALL
    SELECT 'ledger_entries', (SELECT count(*) FROM kvitt_views.ledger_entries), (SELECT count(*) FROM ledger.entries) UNION ALL
    SELECT 'ledger_plans', (SELECT count(*) FROM kvitt_views.ledger_plans), (SELECT count(*) FROM ledger.plans) UNION ALL
    SELECT 'ledger_postings', (SELECT count(*) FROM kvitt_views.ledger_postings), (SELECT count(*) FROM ledger.postings)
) AS n (view, shown, there)
WHERE n.shown <> n.there;
