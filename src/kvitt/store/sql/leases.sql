-- name: take_lease
-- Takes a lease that is free, ours, or run out; each new owner gets a higher epoch. No row: somebody else holds it.
INSERT INTO leases AS l (lease, owner, epoch, until)
VALUES (%(lease)s, %(owner)s, 1, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (lease) DO UPDATE
SET owner = excluded.owner, until = excluded.until, epoch = l.epoch + CASE WHEN l.owner = excluded.owner THEN 0 ELSE 1 END
WHERE l.owner = excluded.owner OR l.until < now()
RETURNING epoch, position;

-- name: renew_leases
-- Prolongs all leases of one owner that have not run out; gives those that are still held.
UPDATE leases SET until = now() + make_interval(secs => %(seconds)s)
WHERE owner = %(owner)s AND until >= now()
RETURNING lease, epoch;

-- name: release_leases
-- Gives up all leases of one owner at once, so that the next owner need not wait.
UPDATE leases SET until = '-infinity' WHERE owner = %(owner)s;

-- name: release_every_lease
-- Gives up every lease, whoever holds it: for the sole owner of an embedded database, whose former owners are known to be dead.
UPDATE leases SET until = '-infinity', owner = '';

-- name: advance_positions
-- Moves the positions of leases on under their epochs; a row per lease that was still ours and not yet past.
UPDATE leases AS l
SET position = a.next_position
FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bigint[]) AS a (lease, epoch, first_position, next_position)
WHERE l.lease = a.lease AND l.epoch = a.epoch AND l.position <= a.first_position
RETURNING l.lease;

-- name: hold_lease
-- Locks a lease for this transaction if the epoch is still ours; no row: it is not, and nothing may be written under it.
SELECT lease FROM leases WHERE lease = %b AND epoch = %b FOR SHARE;
