-- name: any_payouts
-- Whether there are payouts, or rows or records about some: what the other statements find is about these.
SELECT EXISTS (SELECT FROM payouts.payouts) OR EXISTS (SELECT FROM payouts.events) OR EXISTS (SELECT FROM payouts.cash_flow)
    OR EXISTS (SELECT FROM payouts.saga_steps) OR EXISTS (SELECT FROM outbox AS o WHERE o.topic = 'pm-events-payout');

-- name: payouts_after
-- The ids of the next payouts; null for the first ones.
SELECT payout_id FROM payouts.payouts
WHERE %(after)s::text IS NULL OR payout_id > %(after)s
ORDER BY payout_id LIMIT %(limit)s;

-- name: events_of
-- Events of payouts, with the hashes, each payout's in order.
SELECT e.payout_id, e.sequence, e.at, e.status, e.body, e.hash, e.actor
FROM unnest(%b::text[]) AS w (payout_id)
CROSS JOIN LATERAL (SELECT * FROM payouts.events AS v WHERE v.payout_id = w.payout_id OFFSET 0) AS e
ORDER BY e.payout_id, e.sequence;

-- name: plans_not_as_payouts
-- Payouts of our own ledger whose plans are in other states than theirs: held until it is confirmed or cancelled, committed once it was
-- confirmed, and cancelled by a rollback, or after a commit by a reversal.
SELECT NULL::bigint, p.payout_id, 'is ' || p.status || ', and its plans are in other states'
FROM payouts.payouts AS p
LEFT JOIN ledger.plans AS l ON l.plan_id = p.plan_id
LEFT JOIN ledger.plans AS r ON r.plan_id = p.reversal_plan_id
WHERE p.ledger = 'own'
  AND NOT coalesce(CASE p.status
      WHEN 'confirmed' THEN l.state = 'committed' AND p.reversal_plan_id IS NULL
      WHEN 'cancelled' THEN CASE WHEN p.reversal_plan_id IS NULL THEN l.state = 'rolled back' ELSE l.state = 'committed' AND r.state = 'committed' END
      ELSE l.state = 'held' AND p.reversal_plan_id IS NULL
  END, false);

-- name: attempts_without_reason
-- Payouts of our own ledger whose plan, or reversal, is that of a later attempt, while the name of an earlier one is free: a later one is
-- made only where others have held a plan under the name before it.
SELECT NULL::bigint, w.payout_id, 'has the plan ' || w.plan_id || ', though the name ' || w.earlier || ' is free'
FROM (
    SELECT p.payout_id, p.plan_id, CASE n.attempt WHEN 1 THEN 'payout_' ELSE 'p' || n.attempt || '_' END || p.payout_id AS earlier
    FROM payouts.payouts AS p
    CROSS JOIN LATERAL generate_series(1, substring(p.plan_id FROM '^p([0-9]{1,4})_')::integer - 1) AS n (attempt)
    WHERE p.ledger = 'own' AND p.plan_id <> 'payout_' || p.payout_id
    UNION ALL
    SELECT p.payout_id, p.reversal_plan_id,
           CASE WHEN n.attempt = 1 AND length(p.payout_id) <= 50 THEN 'revert_payout_' ELSE 'u' || n.attempt || '_' END || p.payout_id
    FROM payouts.payouts AS p
    CROSS JOIN LATERAL generate_series(1, substring(p.reversal_plan_id FROM '^u([0-9]{1,4})_')::integer - 1) AS n (attempt)
    WHERE p.ledger = 'own' AND p.reversal_plan_id <> 'revert_payout_' || p.payout_id
) AS w
WHERE NOT EXISTS (SELECT FROM ledger.plans AS l WHERE l.plan_id = w.earlier);

-- name: plans_of_two_payouts
-- Plans that stand for more than one payout.
SELECT NULL::bigint, min(w.payout_id), 'shares the plan ' || w.plan_id
FROM (
    SELECT payout_id, ledger, plan_id FROM payouts.payouts
    UNION ALL
    SELECT payout_id, ledger, reversal_plan_id FROM payouts.payouts WHERE reversal_plan_id IS NOT NULL
) AS w
GROUP BY w.ledger, w.plan_id HAVING count(*) > 1;

-- name: postings_not_as_cash_flows
-- Movements of payouts that are not in the plan as they should be, and postings of their plans that no movement makes.
WITH plans AS MATERIALIZED (
    SELECT payout_id, plan_id, false AS reversed FROM payouts.payouts WHERE ledger = 'own'
    UNION ALL
    SELECT payout_id, reversal_plan_id, true FROM payouts.payouts WHERE ledger = 'own' AND reversal_plan_id IS NOT NULL
)
SELECT NULL::bigint, coalesce(c.payout_id, q.payout_id), 'has another cash flow than its plan'
FROM (
    SELECT p.plan_id, f.payout_id, f.position, f.amount, f.currency,
           CASE WHEN p.reversed THEN f.target ELSE f.source END AS source,
           CASE WHEN p.reversed THEN f.source ELSE f.target END AS target,
           CASE WHEN p.reversed THEN 'Revert payout: ' || f.payout_id ELSE coalesce(f.details, 'PAYOUT-' || f.payout_id) END AS description
    FROM plans AS p JOIN payouts.cash_flow AS f ON f.payout_id = p.payout_id
) AS c
FULL JOIN (SELECT p.payout_id, g.* FROM plans AS p JOIN ledger.postings AS g ON g.plan_id = p.plan_id) AS q
       ON (q.plan_id, q.batch_id, q.position) = (c.plan_id, 1, c.position)
WHERE (c.source, c.target, c.amount, c.currency, c.description) IS DISTINCT FROM (q.source, q.target, q.amount, q.currency, q.description);

-- name: rows_of_no_payout
-- Movements and events of payouts that are not there.
SELECT NULL::bigint, c.payout_id, 'has a cash flow, and is not there'
FROM payouts.cash_flow AS c WHERE NOT EXISTS (SELECT FROM payouts.payouts AS p WHERE p.payout_id = c.payout_id)
UNION ALL
SELECT NULL::bigint, e.payout_id, 'has an event, and is not there'
FROM payouts.events AS e WHERE NOT EXISTS (SELECT FROM payouts.payouts AS p WHERE p.payout_id = e.payout_id);

-- name: events_not_published
-- Events that were not put into the outbox, once each, as they are stored.
SELECT NULL::bigint, e.payout_id, 'has an event ' || e.sequence || ' that is not published as it is'
FROM payouts.events AS e
LEFT JOIN outbox AS o ON o.event_id = md5(e.payout_id || ' ' || e.sequence || ' 0')::uuid
WHERE (o.topic, o.key, o.value, o.headers) IS DISTINCT FROM ('pm-events-payout', convert_to(e.payout_id, 'UTF8'), e.body, '[]'::bytea);

-- name: published_of_no_event
-- Records about payouts that are neither an event, nor one that was published again as often as is noted.
SELECT NULL::bigint, o.outbox_no::text, 'is about a payout and no event of it'
FROM outbox AS o
WHERE o.topic = 'pm-events-payout'
  AND NOT EXISTS (
      SELECT FROM payouts.events AS e
      JOIN payouts.payouts AS p ON p.payout_id = e.payout_id
      CROSS JOIN LATERAL generate_series(0, p.republished) AS n (time)
      WHERE md5(e.payout_id || ' ' || e.sequence || ' ' || n.time)::uuid = o.event_id
        AND (o.key, o.value) = (convert_to(e.payout_id, 'UTF8'), e.body)
  );

-- name: published_out_of_order
-- Payouts of which a later event stands in the outbox before an earlier one.
SELECT NULL::bigint, w.payout_id, 'is published out of order'
FROM (
    SELECT e.payout_id, o.outbox_no, lag(o.outbox_no) OVER (PARTITION BY e.payout_id ORDER BY e.sequence) AS before
    FROM payouts.events AS e JOIN outbox AS o ON o.event_id = md5(e.payout_id || ' ' || e.sequence || ' 0')::uuid
) AS w
WHERE w.outbox_no < w.before;

-- name: saga_steps_not_as_payouts
-- Payouts of another's ledger that no finished step has made or ended as they are, and finished steps without their payout.
SELECT NULL::bigint, p.payout_id, 'is ' || p.status || ' at another ledger, and nothing that was done there makes it so'
FROM payouts.payouts AS p
LEFT JOIN (
    SELECT payout_id, array_agg(action || ' ' || plan_id ORDER BY number) AS acts FROM payouts.saga_steps WHERE state = 'done' GROUP BY payout_id
) AS i ON i.payout_id = p.payout_id
WHERE p.ledger = 'remote'
  AND i.acts IS DISTINCT FROM ARRAY['create ' || p.plan_id] || CASE
      WHEN p.status = 'confirmed' THEN ARRAY['confirm ' || p.plan_id]
      WHEN p.status = 'cancelled' AND p.reversal_plan_id IS NULL THEN ARRAY['cancel ' || p.plan_id]
      WHEN p.status = 'cancelled' THEN ARRAY['confirm ' || p.plan_id, 'reverse ' || p.reversal_plan_id]
      ELSE ARRAY[]::text[]
  END
UNION ALL
SELECT NULL::bigint, i.payout_id, 'was done at another ledger, and is not there'
FROM payouts.saga_steps AS i
WHERE i.state = 'done' AND NOT EXISTS (SELECT FROM payouts.payouts AS p WHERE p.payout_id = i.payout_id AND p.ledger = 'remote');

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
