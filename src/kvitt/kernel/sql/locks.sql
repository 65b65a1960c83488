-- name: wait_shortly
-- From here on in this transaction nobody waits for a lock for longer than a moment.
SET LOCAL lock_timeout = '100ms';
