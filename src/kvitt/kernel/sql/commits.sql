-- name: mark
-- Notes in the transaction that it is open which number it has on its connection.
INSERT INTO commit_markers AS m (connection, number, at) VALUES (%s, %s, now())
ON CONFLICT (connection) DO UPDATE SET number = excluded.number, at = excluded.at;

-- name: marked
-- The number of a connection's latest transaction that was committed, 0 for none; waits for one that is not over.
INSERT INTO commit_markers AS m (connection, number, at) VALUES (%s, 0, now())
ON CONFLICT (connection) DO UPDATE SET number = m.number
RETURNING number;

-- name: reuse_marker
-- A new connection takes over a row that nobody has used for a day, if there is one, so that the table does not grow for ever.
UPDATE commit_markers SET connection = %s, number = 0, at = now()
WHERE connection = (SELECT connection FROM commit_markers WHERE at < now() - interval '1 day' LIMIT 1 FOR UPDATE SKIP LOCKED);
