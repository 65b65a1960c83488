-- name: open_intent
-- What is under way for a payout, and whether its owner is at work on it.
SELECT payout_id, number, action, plan_id, content, state, epoch, tries, held, busy_until > now()
FROM payouts.intents WHERE payout_id = %b AND state IN ('forward', 'back');

-- name: count_intents
-- How many intents a payout has had, how many of them have used up the plan that was to make it, and how many were to reverse it.
SELECT count(*), count(*) FILTER (WHERE action = 'create' AND held), count(*) FILTER (WHERE action = 'reverse')
FROM payouts.intents WHERE payout_id = %b;

-- name: add_intent
-- Stores what is to be done, with its first owner at work; the index of open ones refuses a second one for a payout.
INSERT INTO payouts.intents (payout_id, number, action, plan_id, content, state, made_at, busy_until, next_try_at)
VALUES (%(payout_id)s, %(number)s, %(action)s, %(plan_id)s, %(content)s, 'forward', %(made_at)s, now() + make_interval(secs => %(busy)s), now());

-- name: claim_intent
-- Takes over what nobody is at work on any more. A payout that was to be made is not made by another owner: it is released.
UPDATE payouts.intents
SET epoch = epoch + 1, tries = tries + 1, busy_until = now() + make_interval(secs => %(busy)s),
    state = CASE action WHEN 'create' THEN 'back' ELSE state END
WHERE payout_id = %(payout_id)s AND number = %(number)s AND state IN ('forward', 'back') AND busy_until <= now()
RETURNING payout_id, number, action, plan_id, content, state, epoch, tries, held;

-- name: claim_due
-- Takes over one intent that waits for its next try, the one that waits longest.
UPDATE payouts.intents
SET epoch = epoch + 1, tries = tries + 1, busy_until = now() + make_interval(secs => %(busy)s),
    state = CASE action WHEN 'create' THEN 'back' ELSE state END
WHERE (payout_id, number) = (
    SELECT payout_id, number FROM payouts.intents
    WHERE state IN ('forward', 'back') AND busy_until <= now() AND next_try_at <= now()
    ORDER BY next_try_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING payout_id, number, action, plan_id, content, state, epoch, tries, held;

-- name: prolong_intent
-- Stays its owner for a while; no row: another one is.
UPDATE payouts.intents SET busy_until = now() + make_interval(secs => %(busy)s)
WHERE payout_id = %(payout_id)s AND number = %(number)s AND epoch = %(epoch)s AND state IN ('forward', 'back')
RETURNING number;

-- name: note_held
-- The plan of a reversal is held; no row: another owner has it.
UPDATE payouts.intents SET held = true
WHERE payout_id = %(payout_id)s AND number = %(number)s AND epoch = %(epoch)s AND state = 'forward'
RETURNING number;

-- name: turn_intent_back
-- What was to be done is to be undone from now on; no row: another owner has it.
UPDATE payouts.intents SET state = 'back'
WHERE payout_id = %(payout_id)s AND number = %(number)s AND epoch = %(epoch)s AND state IN ('forward', 'back')
RETURNING number;

-- name: leave_intent
-- Leaves it to whoever comes next, after a wait.
UPDATE payouts.intents SET busy_until = now(), next_try_at = now() + make_interval(secs => %(wait)s), reason = %(reason)s
WHERE payout_id = %(payout_id)s AND number = %(number)s AND epoch = %(epoch)s AND state IN ('forward', 'back');

-- name: close_intent
-- Its outcome is known, and whether its plan was ever held; no row: another owner has it.
UPDATE payouts.intents SET state = %(state)s, held = held OR %(held)s, closed_at = greatest(%(now)s, made_at), reason = %(reason)s
WHERE payout_id = %(payout_id)s AND number = %(number)s AND epoch = %(epoch)s AND state IN ('forward', 'back')
RETURNING number;
