-- name: take_lease
-- Takes a lease that is free, ours, or run out; each new owner gets a higher epoch. No row: somebody else holds it.
INSERT INTO leases AS l (lease, owner, epoch, until)
VALUES (%(lease)s, %(owner)s, 1, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (lease) DO UPDATE
SET owner = excluded.owner, until = excluded.until, epoch = l.epoch + CASE WHEN l.owner = excluded.owner THEN 0 ELSE 1 END
WHERE l.owner = excluded.owner OR l.until < now()
RETURNING epoch, position;

-- name: renew_leases
-- Prolongs all leases of one owner that have not run out; gives those that are still held. Locks in sorted order, as everyone does.
WITH mine AS (SELECT lease FROM leases WHERE owner = %(owner)s AND until >= now() ORDER BY lease FOR UPDATE)
UPDATE leases AS l SET until = now() + make_interval(secs => %(seconds)s)
FROM mine AS m
WHERE l.lease = m.lease
RETURNING l.lease, l.epoch;

-- name: release_leases
-- Gives up all leases of one owner at once, so that the next owner need not wait.
UPDATE leases SET until = '-infinity' WHERE owner = %(owner)s;

-- name: release_every_lease
-- Gives up every lease, whoever holds it: for the sole owner of an embedded database, whose former owners are known to be dead.
UPDATE leases SET until = '-infinity', owner = '';

-- name: advance_positions
-- Moves the positions of leases on under their epochs; a row per lease that was still ours and stood exactly where the records begin.
-- A position behind that would mean that a batch before this one has failed: its records would be left out for ever.
WITH asked AS (
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bigint[]) AS a (lease, epoch, first_position, next_position)
), held AS (
    SELECT l.lease, a.next_position
    FROM leases AS l JOIN asked AS a ON a.lease = l.lease
    WHERE l.epoch = a.epoch AND l.position = a.first_position
    ORDER BY l.lease
    FOR UPDATE OF l
)
UPDATE leases AS l
SET position = h.next_position
FROM held AS h
WHERE l.lease = h.lease
RETURNING l.lease;

-- name: hold_lease
-- Locks a lease for this transaction if the epoch is still ours; no row: it is not, and nothing may be written under it.
SELECT lease FROM leases WHERE lease = %b AND epoch = %b FOR SHARE;
