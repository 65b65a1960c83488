-- name: open_saga_step
-- What is under way for a payout, and whether its owner is at work on it.
SELECT payout_id, number, action, plan_id, content, state, fencing_token, tries, held, busy_until > now() AS busy
FROM payouts.saga_steps WHERE payout_id = %b AND state IN ('forward', 'compensating');

-- name: count_saga_steps
-- How many steps a payout has had, how many of them have used up the plan that was to make it, and how many were to reverse it.
SELECT count(*) AS steps, count(*) FILTER (WHERE action = 'create' AND held) AS creates, count(*) FILTER (WHERE action = 'reverse') AS reversals
FROM payouts.saga_steps WHERE payout_id = %b;

-- name: add_saga_step
-- Stores what is to be done, with its first owner at work; the index of open ones refuses a second one for a payout.
INSERT INTO payouts.saga_steps (payout_id, number, action, plan_id, content, state, made_at, busy_until, next_try_at)
VALUES (%(payout_id)s, %(number)s, %(action)s, %(plan_id)s, %(content)s, 'forward', %(made_at)s, now() + make_interval(secs => %(busy)s), now());

-- name: acquire_saga_step
-- Takes over what nobody is at work on any more. A payout that was to be made is not made by another owner: it is released.
UPDATE payouts.saga_steps
SET fencing_token = fencing_token + 1, tries = tries + 1, busy_until = now() + make_interval(secs => %(busy)s),
    state = CASE action WHEN 'create' THEN 'compensating' ELSE state END
WHERE payout_id = %(payout_id)s AND number = %(number)s AND state IN ('forward', 'compensating') AND busy_until <= now()
RETURNING payout_id, number, action, plan_id, content, state, fencing_token, tries, held;

-- name: acquire_due
-- Takes over one step that waits for its next try, the one that waits longest.
UPDATE payouts.saga_steps
SET fencing_token = fencing_token + 1, tries = tries + 1, busy_until = now() + make_interval(secs => %(busy)s),
    state = CASE action WHEN 'create' THEN 'compensating' ELSE state END
WHERE (payout_id, number) = (
    SELECT payout_id, number FROM payouts.saga_steps
    WHERE state IN ('forward', 'compensating') AND busy_until <= now() AND next_try_at <= now()
    ORDER BY next_try_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING payout_id, number, action, plan_id, content, state, fencing_token, tries, held;

-- name: prolong_saga_step
-- Stays its owner for a while; no row: another one is.
UPDATE payouts.saga_steps SET busy_until = now() + make_interval(secs => %(busy)s)
WHERE payout_id = %(payout_id)s AND number = %(number)s AND fencing_token = %(fencing_token)s AND state IN ('forward', 'compensating')
RETURNING number;

-- name: note_held
-- The plan of a reversal is held; no row: another owner has it.
UPDATE payouts.saga_steps SET held = true
WHERE payout_id = %(payout_id)s AND number = %(number)s AND fencing_token = %(fencing_token)s AND state = 'forward'
RETURNING number;

-- name: compensate_saga_step
-- What was to be done is to be compensated from now on; no row: another owner has it.
UPDATE payouts.saga_steps SET state = 'compensating'
WHERE payout_id = %(payout_id)s AND number = %(number)s AND fencing_token = %(fencing_token)s AND state IN ('forward', 'compensating')
RETURNING number;

-- name: leave_saga_step
-- Leaves it to whoever comes next, after a wait.
UPDATE payouts.saga_steps SET busy_until = now(), next_try_at = now() + make_interval(secs => %(wait)s), reason = %(reason)s
WHERE payout_id = %(payout_id)s AND number = %(number)s AND fencing_token = %(fencing_token)s AND state IN ('forward', 'compensating');

-- name: close_saga_step
-- Its outcome is known, and whether its plan was ever held; no row: another owner has it.
UPDATE payouts.saga_steps SET state = %(state)s, held = held OR %(held)s, closed_at = greatest(%(now)s, made_at), reason = %(reason)s
WHERE payout_id = %(payout_id)s AND number = %(number)s AND fencing_token = %(fencing_token)s AND state IN ('forward', 'compensating')
RETURNING number;
