-- name: payouts
-- Payouts behind a place, newest first, of so many that are looked through; the last of these is there in any case.
WITH looked AS (
    SELECT p.payout_id, p.party_id, p.shop_id, p.status, p.amount_minor, p.fee_minor, p.currency, p.created_at,
           row_number() OVER (ORDER BY p.created_at DESC, p.payout_id DESC) = %(looked_through)s AS is_end
    FROM kvitt_views.payouts AS p
    WHERE (p.created_at, p.payout_id) < (%(at)s::timestamptz, %(payout_id)s::text)
    ORDER BY p.created_at DESC, p.payout_id DESC
    LIMIT %(looked_through)s
), judged AS (
    SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, is_end,
           coalesce(status = %(status)s, true) AND coalesce(party_id = %(party)s, true) AND coalesce(shop_id = %(shop)s, true)
           AND coalesce(currency = %(currency)s, true) AS fits
    FROM looked
)
SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, is_end, fits
FROM judged WHERE fits OR is_end
ORDER BY created_at DESC, payout_id DESC
LIMIT %(limit)s;

-- name: payouts_of_party
-- The same among those of one party: a statement of its own, so that it walks along the index of parties and not through all payouts.
WITH looked AS (
    SELECT p.payout_id, p.party_id, p.shop_id, p.status, p.amount_minor, p.fee_minor, p.currency, p.created_at,
           row_number() OVER (ORDER BY p.created_at DESC, p.payout_id DESC) = %(looked_through)s AS is_end
    FROM kvitt_views.payouts AS p
    WHERE p.party_id = %(party)s AND (p.created_at, p.payout_id) < (%(at)s::timestamptz, %(payout_id)s::text)
    ORDER BY p.created_at DESC, p.payout_id DESC
    LIMIT %(looked_through)s
), judged AS (
    SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, is_end,
           coalesce(status = %(status)s, true) AND coalesce(shop_id = %(shop)s, true) AND coalesce(currency = %(currency)s, true) AS fits
    FROM looked
)
SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, is_end, fits
FROM judged WHERE fits OR is_end
ORDER BY created_at DESC, payout_id DESC
LIMIT %(limit)s;

-- name: payouts_in_status
-- The same among those in one status.
WITH looked AS (
    SELECT p.payout_id, p.party_id, p.shop_id, p.status, p.amount_minor, p.fee_minor, p.currency, p.created_at,
           row_number() OVER (ORDER BY p.created_at DESC, p.payout_id DESC) = %(looked_through)s AS is_end
    FROM kvitt_views.payouts AS p
    WHERE p.status = %(status)s AND (p.created_at, p.payout_id) < (%(at)s::timestamptz, %(payout_id)s::text)
    ORDER BY p.created_at DESC, p.payout_id DESC
    LIMIT %(looked_through)s
), judged AS (
    SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, is_end,
           coalesce(shop_id = %(shop)s, true) AND coalesce(currency = %(currency)s, true) AS fits
    FROM looked
)
SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, is_end, fits
FROM judged WHERE fits OR is_end
ORDER BY created_at DESC, payout_id DESC
LIMIT %(limit)s;

-- name: payout
-- One payout.
SELECT payout_id, party_id, shop_id, status, amount_minor, fee_minor, currency, created_at, last_at, cancel_details, ledger, plan_id,
       reversal_plan_id, payout_tool_id, sequence, republished
FROM kvitt_views.payouts WHERE payout_id = %(payout_id)s;

-- name: postings
-- Its movements, in the order in which they were computed.
SELECT position, source_type, source, target_type, target, amount_minor, currency, details
FROM kvitt_views.payout_postings WHERE payout_id = %(payout_id)s ORDER BY position;

-- name: events
-- What was published of it, in order.
SELECT sequence, at, status, actor, body, hash FROM kvitt_views.payout_events WHERE payout_id = %(payout_id)s ORDER BY sequence;

-- name: steps
-- What was tried at a ledger that is not ours, in order.
SELECT number, action, plan_id, state, made_at, closed_at, tries, reason, next_try_at
FROM kvitt_views.payout_steps WHERE payout_id = %(payout_id)s ORDER BY number;

-- name: acts
-- What people did to it, newest first.
SELECT seq, at, what, done_by, approved_by, reason
FROM kvitt_views.operator_acts WHERE subject = %(payout_id)s AND starts_with(what, 'payout ') ORDER BY seq DESC LIMIT 100;

-- name: payout_version
-- Whether anything about a payout has changed.
SELECT concat_ws('-', status, sequence, republished, last_at) FROM kvitt_views.payouts WHERE payout_id = %(payout_id)s;
