-- name: lock_payouts
-- Takes the right to make or change payouts until the end of the transaction, in the order of the keys, so that nobody waits in a circle.
SELECT count(pg_advisory_xact_lock(w.key)) FROM (SELECT k.key FROM unnest(%b::bigint[]) AS k (key) ORDER BY k.key OFFSET 0) AS w;

-- name: payouts
-- Payouts as they stand, those that exist.
SELECT p.payout_id, p.sequence, p.created_at, p.party_id, p.shop_id, p.status, p.cancel_details, p.payout_tool_id, p.amount, p.fee, p.currency,
       p.ledger, p.plan_id, p.reversal_plan_id, p.republished, p.last_event_hash, p.last_at
FROM unnest(%b::text[]) AS w (payout_id) JOIN payouts.payouts AS p ON p.payout_id = w.payout_id;

-- name: cash_flows
-- The movements of payouts, each payout's in their order.
SELECT c.payout_id, c.source_type, c.source, c.target_type, c.target, c.amount, c.currency, c.details
FROM unnest(%b::text[]) AS w (payout_id)
CROSS JOIN LATERAL (SELECT * FROM payouts.cash_flow AS f WHERE f.payout_id = w.payout_id OFFSET 0) AS c
ORDER BY c.payout_id, c.position;

-- name: plans_there
-- Which of these plans somebody has held in our own ledger already, and in which state they are.
SELECT p.plan_id, p.state FROM unnest(%b::text[]) AS w (plan_id) JOIN ledger.plans AS p ON p.plan_id = w.plan_id;

-- name: plans_of_strangers
-- Those of these plans that there are, and that are not the plan or the reversal of the payout whose name they have.
SELECT l.plan_id
FROM unnest(%b::text[], %b::text[]) AS w (plan_id, payout_id) JOIN ledger.plans AS l ON l.plan_id = w.plan_id
WHERE NOT EXISTS (
    SELECT FROM payouts.payouts AS p
    WHERE p.payout_id = w.payout_id AND p.ledger = 'own' AND (p.plan_id = w.plan_id OR p.reversal_plan_id = w.plan_id)
);

-- name: payout_exists
-- The id of a payout, if there is one.
SELECT payout_id FROM payouts.payouts WHERE payout_id = %b;

-- name: events
-- The events of payouts, each payout's in order.
SELECT e.payout_id, e.sequence, e.at, e.status, e.body
FROM unnest(%b::text[]) AS w (payout_id)
CROSS JOIN LATERAL (SELECT * FROM payouts.events AS v WHERE v.payout_id = w.payout_id OFFSET 0) AS e
ORDER BY e.payout_id, e.sequence;

-- name: page
-- A page of payouts, newest first, those behind a place in that order; what is not asked for is null.
SELECT p.payout_id
FROM payouts.payouts AS p
WHERE (%(at)s::timestamptz IS NULL OR (p.created_at, p.payout_id) < (%(at)s::timestamptz, %(payout_id)s::text))
  AND (%(party_id)s::text IS NULL OR p.party_id = %(party_id)s)
  AND (%(shop_id)s::text IS NULL OR p.shop_id = %(shop_id)s)
  AND (%(status)s::text IS NULL OR p.status = %(status)s)
ORDER BY p.created_at DESC, p.payout_id DESC
LIMIT %(limit)s;

-- name: add_payouts
-- Stores new payouts; the primary key refuses a second one under an id.
INSERT INTO payouts.payouts (payout_id, sequence, created_at, party_id, shop_id, status, payout_tool_id, amount, fee, currency, ledger,
                             plan_id, last_event_hash, last_at)
SELECT * FROM unnest(%b::text[], %b::integer[], %b::timestamptz[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::bigint[],
                     %b::text[], %b::text[], %b::text[], %b::bytea[], %b::timestamptz[]);

-- name: add_cash_flow
-- Stores the movements of new payouts.
INSERT INTO payouts.cash_flow (payout_id, position, source_type, source, target_type, target, amount, currency, details)
SELECT * FROM unnest(%b::text[], %b::integer[], %b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::text[]);

-- name: step_payouts
-- Moves payouts along the legal arcs only, each from the sequence number before.
UPDATE payouts.payouts AS p
SET sequence = s.sequence, status = s.status, cancel_details = s.cancel_details,
    reversal_plan_id = coalesce(s.reversal_plan_id, p.reversal_plan_id), last_event_hash = s.last_event_hash, last_at = s.last_at
FROM unnest(%b::text[], %b::integer[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::timestamptz[])
     AS s (payout_id, sequence, status, cancel_details, reversal_plan_id, last_event_hash, last_at)
WHERE p.payout_id = s.payout_id AND p.sequence = s.sequence - 1
  AND ((p.status = 'unpaid' AND s.status IN ('paid', 'confirmed', 'cancelled'))
       OR (p.status = 'paid' AND s.status IN ('confirmed', 'cancelled'))
       OR (p.status = 'confirmed' AND s.status = 'cancelled'));

-- name: add_events
-- Appends events of payouts; the primary key refuses two events under one sequence number.
INSERT INTO payouts.events (payout_id, sequence, at, status, body, hash, actor)
SELECT * FROM unnest(%b::text[], %b::integer[], %b::timestamptz[], %b::text[], %b::bytea[], %b::bytea[], %b::text[]);

-- name: note_republished
-- Counts that the events of a payout are published once more; returns how often that is now.
UPDATE payouts.payouts SET republished = republished + 1 WHERE payout_id = %b RETURNING republished;
