-- The ledger as one transaction per call with row locks, the way that group commit is measured against: tables and steps of the contract,
-- append-only logs, the balance of an account is its last log row.

-- name: make_tables
-- Tables, indexes and the two functions that read account states, with and without locking the accounts.
CREATE SCHEMA shm;
CREATE TYPE shm.operation AS ENUM ('HOLD', 'COMMIT', 'ROLLBACK');
CREATE TABLE shm.account (id bigserial PRIMARY KEY, curr_sym_code varchar NOT NULL, creation_time timestamp NOT NULL, description varchar(4096));
CREATE TABLE shm.account_log (
    id bigserial PRIMARY KEY, plan_id varchar(64), batch_id bigint, account_id bigint, operation shm.operation,
    own_accumulated bigint DEFAULT 0, max_accumulated bigint DEFAULT 0, min_accumulated bigint DEFAULT 0,
    own_diff bigint, max_diff bigint, min_diff bigint, creation_time timestamp, credit boolean, merged boolean DEFAULT false
);
CREATE TABLE shm.posting_log (
    id bigserial PRIMARY KEY, plan_id varchar(64), batch_id bigint, from_account_id bigint, to_account_id bigint, operation shm.operation,
    amount bigint, creation_time timestamp, curr_sym_code varchar(4), description varchar
);
CREATE TABLE shm.plan_log (plan_id varchar(64) PRIMARY KEY, last_batch_id bigint, last_operation shm.operation, last_access_time timestamp);
CREATE INDEX ON shm.account_log (account_id, id);
CREATE INDEX ON shm.account_log (plan_id, batch_id, id);
CREATE INDEX ON shm.posting_log (plan_id, batch_id);
CREATE FUNCTION shm.states(ids bigint[])
RETURNS TABLE (account_id bigint, currency varchar, own bigint, highest bigint, lowest bigint) LANGUAGE sql STABLE AS $$
    SELECT a.id, a.curr_sym_code, coalesce(l.own_accumulated, 0), coalesce(l.max_accumulated, 0), coalesce(l.min_accumulated, 0)
    FROM shm.account AS a
    LEFT JOIN LATERAL (SELECT * FROM shm.account_log AS g WHERE g.account_id = a.id ORDER BY g.id DESC LIMIT 1) AS l ON true
    WHERE a.id = ANY (ids)
$$;

-- name: make_accounts
-- Accounts, by id.
INSERT INTO shm.account (curr_sym_code, creation_time) SELECT 'RUB', now() FROM generate_series(1, %(count)s::bigint) RETURNING id;

-- name: read_plan
-- The plan under its lock.
SELECT last_batch_id, last_operation FROM shm.plan_log WHERE plan_id = %(plan_id)s FOR UPDATE;

-- name: hold_plan
-- Notes a hold of a plan that is new or held.
INSERT INTO shm.plan_log (plan_id, last_batch_id, last_operation, last_access_time) VALUES (%(plan_id)s, %(batch_id)s, 'HOLD', now())
ON CONFLICT (plan_id) DO UPDATE SET last_batch_id = excluded.last_batch_id, last_access_time = now() WHERE plan_log.last_operation = 'HOLD'
RETURNING plan_id;

-- name: end_plan
-- Notes the commit of a plan that is held, or committed already.
UPDATE shm.plan_log SET last_operation = 'COMMIT', last_access_time = now()
WHERE plan_id = %(plan_id)s AND last_operation IN ('HOLD', 'COMMIT') RETURNING plan_id;

-- name: read_postings
-- What is stored under the plan's operation before.
SELECT batch_id, from_account_id, to_account_id, amount, curr_sym_code, description
FROM shm.posting_log WHERE plan_id = %(plan_id)s AND operation = %(operation)s::shm.operation;

-- name: lock_accounts
-- Locks accounts, sorted; a statement of its own, so that the next one sees what the last owner of the lock has written.
SELECT id FROM shm.account WHERE id = ANY (%(ids)s::bigint[]) ORDER BY id FOR UPDATE;

-- name: read_states
-- The latest totals of accounts.
SELECT account_id, currency, own, highest, lowest FROM shm.states(%(ids)s::bigint[]);

-- name: add_posting
-- One posting row.
INSERT INTO shm.posting_log (plan_id, batch_id, from_account_id, to_account_id, operation, amount, creation_time, curr_sym_code, description)
VALUES (%s, %s, %s, %s, %s::shm.operation, %s, now(), %s, %s);

-- name: add_account_log
-- One account row with its new running totals.
INSERT INTO shm.account_log (plan_id, batch_id, account_id, operation, own_accumulated, max_accumulated, min_accumulated, own_diff, max_diff,
                             min_diff, creation_time, credit)
VALUES (%s, %s, %s, %s::shm.operation, %s, %s, %s, %s, %s, %s, now(), %s);

-- name: sums
-- How much all accounts own together, and how many there are that have something open.
SELECT coalesce(sum(s.own), 0)::bigint, count(*) FILTER (WHERE s.own <> s.highest OR s.own <> s.lowest)
FROM shm.states(ARRAY(SELECT id FROM shm.account)) AS s;
