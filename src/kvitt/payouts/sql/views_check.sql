-- What `kvitt check` proves of the views of payouts: the amounts and states that pages show are those of the tables. Each returns the number of a
-- case (null), an id, and what is wrong.

-- name: payouts
-- Payouts that the view shows with other amounts, states or moments than they have.
SELECT NULL::bigint, payout_id, 'stands otherwise in the view of payouts'
FROM kvitt_views.payouts AS v
FULL JOIN payouts.payouts AS p USING (payout_id)
WHERE (v.status, v.amount_minor, v.fee_minor, v.currency, v.sequence, v.republished, v.created_at, v.last_at) IS DISTINCT FROM
      (p.status, p.amount, p.fee, p.currency, p.sequence, p.republished, p.created_at, p.last_at);

-- name: payout_postings
-- Movements that the view shows with other amounts than they have.
SELECT NULL::bigint, payout_id || ' movement ' || position, 'stands otherwise in the view of movements'
FROM kvitt_views.payout_postings AS v
FULL JOIN payouts.cash_flow AS c USING (payout_id, position)
WHERE (v.source_type, v.source, v.target_type, v.target, v.amount_minor, v.currency) IS DISTINCT FROM
      (c.source_type, c.source, c.target_type, c.target, c.amount, c.currency);

-- name: payout_steps
-- Steps at another ledger that the view shows in another state than theirs, or as tried more or less often.
SELECT NULL::bigint, payout_id || ' step ' || number, 'stands otherwise in the view of steps'
FROM kvitt_views.payout_steps AS v
FULL JOIN payouts.saga_steps AS s USING (payout_id, number)
WHERE (v.state, v.tries, v.made_at, v.closed_at, v.next_try_at) IS DISTINCT FROM
      (s.state, s.tries, s.made_at, s.closed_at, CASE WHEN s.closed_at IS NULL THEN s.next_try_at END);

-- name: as_many_rows
-- Views that show more or fewer rows than there are: a row that is shown twice is twice in every sum.
SELECT NULL::bigint, n.view, 'shows ' || n.shown || ' rows, and there are ' || n.there
FROM (
    SELECT 'payouts', (SELECT count(*) FROM kvitt_views.payouts), (SELECT count(*) FROM payouts.payouts) UNION ALL
    SELECT 'payout_postings', (SELECT count(*) FROM kvitt_views.payout_postings), (SELECT count(*) FROM payouts.cash_flow) UNION ALL
    SELECT 'payout_steps', (SELECT count(*) FROM kvitt_views.payout_steps), (SELECT count(*) FROM payouts.saga_steps)
) AS n (view, shown, there)
WHERE n.shown <> n.there;
