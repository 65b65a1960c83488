-- name: acquire_lease
-- Takes a lease that is free, ours, or run out; each new owner gets a higher fencing token. No row: somebody else holds it. A row that somebody
-- has locked is waited for no longer than a moment: other leases are to be taken, too.
WITH acquired AS (
    INSERT INTO leases AS l (lease, owner, fencing_token, until)
    SELECT %(lease)s, %(owner)s, 1, now() + make_interval(secs => %(seconds)s) FROM set_config('lock_timeout', '100ms', true)
    ON CONFLICT (lease) DO UPDATE
    SET owner = excluded.owner, until = excluded.until, fencing_token = l.fencing_token + CASE WHEN l.owner = excluded.owner THEN 0 ELSE 1 END
    WHERE l.owner = excluded.owner OR l.until < now()
    RETURNING lease, owner, fencing_token, position
), noted AS (
    INSERT INTO lease_owners (lease, fencing_token, owner, since) SELECT lease, fencing_token, owner, now() FROM acquired ON CONFLICT DO NOTHING
)
SELECT lease, fencing_token, position FROM acquired;

-- name: acquire_leases
-- Takes leases as `acquire_lease`, at once and without waiting: one that somebody has locked is left for the next time, and holds up none.
WITH free AS (
    SELECT l.lease
    FROM leases AS l
    WHERE l.lease = ANY (%(leases)s) AND (l.owner = %(owner)s OR l.until < now())
    ORDER BY l.lease
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE leases AS l
    SET owner = %(owner)s, until = now() + make_interval(secs => %(seconds)s),
        fencing_token = l.fencing_token + CASE WHEN l.owner = %(owner)s THEN 0 ELSE 1 END
    FROM free AS f
    WHERE l.lease = f.lease
    RETURNING l.lease, l.fencing_token, l.position
), made AS (
    INSERT INTO leases (lease, owner, fencing_token, until)
    SELECT a.lease, %(owner)s, 1, now() + make_interval(secs => %(seconds)s)
    FROM unnest(%(leases)s::text[]) AS a (lease)
    WHERE NOT EXISTS (SELECT FROM leases AS l WHERE l.lease = a.lease)
    ORDER BY a.lease
    ON CONFLICT (lease) DO NOTHING
    RETURNING lease, fencing_token, position
), acquired AS (
    SELECT lease, fencing_token, position FROM taken UNION ALL SELECT lease, fencing_token, position FROM made
), noted AS (
    INSERT INTO lease_owners (lease, fencing_token, owner, since)
    SELECT lease, fencing_token, %(owner)s, now() FROM acquired ON CONFLICT DO NOTHING
)
SELECT lease, fencing_token, position FROM acquired;

-- name: renew_leases
-- Prolongs all leases of one owner that have not run out and that nobody has locked; returns those that are locked.
WITH free AS (SELECT lease FROM leases WHERE owner = %(owner)s AND until >= now() ORDER BY lease FOR UPDATE SKIP LOCKED), prolonged AS (
    UPDATE leases AS l SET until = now() + make_interval(secs => %(seconds)s) FROM free AS f WHERE l.lease = f.lease
)
SELECT l.lease FROM leases AS l
WHERE l.owner = %(owner)s AND l.until >= now() AND NOT EXISTS (SELECT FROM free AS f WHERE f.lease = l.lease)
ORDER BY l.lease;

-- name: renew_lease
-- Prolongs one lease of an owner, if it has not run out.
UPDATE leases SET until = now() + make_interval(secs => %(seconds)s) WHERE lease = %(lease)s AND owner = %(owner)s AND until >= now();

-- name: release_free_leases
-- Gives up all leases of one owner that nobody has locked, at once, so that the next owner need not wait.
WITH free AS (SELECT lease FROM leases WHERE owner = %(owner)s ORDER BY lease FOR UPDATE SKIP LOCKED)
UPDATE leases AS l SET until = '-infinity' FROM free AS f WHERE l.lease = f.lease;

-- name: release_leases
-- Gives up all leases of one owner at once, so that the next owner need not wait.
UPDATE leases SET until = '-infinity' WHERE owner = %(owner)s;

-- name: release_every_lease
-- Gives up every lease, whoever holds it: for the sole owner of an embedded database, whose former owners are known to be dead.
UPDATE leases SET until = '-infinity', owner = '';

-- name: advance_positions
-- Moves the positions of leases on under their fencing tokens; a row per lease that was still ours and stood exactly where the records begin.
-- A position behind that would mean that a batch before this one has failed: its records would be left out for ever.
WITH asked AS (
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bigint[]) AS a (lease, fencing_token, first_position, next_position)
), held AS (
    SELECT l.lease, a.next_position
    FROM leases AS l JOIN asked AS a ON a.lease = l.lease
    WHERE l.fencing_token = a.fencing_token AND l.position = a.first_position
    ORDER BY l.lease
    FOR UPDATE OF l
)
UPDATE leases AS l
SET position = h.next_position
FROM held AS h
WHERE l.lease = h.lease
RETURNING l.lease;

-- name: hold_lease
-- Locks a lease for this transaction if the fencing token is still the lease's; no row: it is not, and nothing may be written under it.
SELECT lease FROM leases WHERE lease = %b AND fencing_token = %b FOR SHARE;

-- name: release_lease
-- Gives up one lease, so that the next owner need not wait.
UPDATE leases SET until = '-infinity' WHERE lease = %(lease)s AND fencing_token = %(token)s;

-- name: held_leases
-- Those of these leases that somebody holds now.
SELECT lease FROM leases WHERE lease = ANY (%(leases)s) AND until >= now() ORDER BY lease;
