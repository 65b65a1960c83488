-- Moments grow: whoever locks a row finds there the last moment that was given under its lock, and gives none that is earlier.

ALTER TABLE ledger.accounts ADD COLUMN last_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE payouts.payouts ADD COLUMN last_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE cases ADD COLUMN last_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE operators ADD COLUMN last_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE messages ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN ledger.accounts.last_at IS 'no entry from now on is earlier: the moment of the last one, or up to which a balance was answered';
COMMENT ON COLUMN payouts.payouts.last_at IS 'the moment of the last event';
COMMENT ON COLUMN cases.last_at IS 'the latest moment in the audit chain of the case';
COMMENT ON COLUMN operators.last_at IS 'the latest moment in the audit chain of operator actions';
COMMENT ON COLUMN messages.told_at IS 'when its orders were known to be with the rail, last; null before that';

UPDATE ledger.accounts AS a SET last_at = e.at
FROM (SELECT account_id, max(at) AS at FROM ledger.entries GROUP BY account_id) AS e WHERE e.account_id = a.account_id;
UPDATE ledger.plans AS p SET changed_at = s.at
FROM (SELECT plan_id, max(at) AS at FROM ledger.steps GROUP BY plan_id) AS s WHERE s.plan_id = p.plan_id AND s.at > p.changed_at;
UPDATE payouts.payouts AS p SET last_at = e.at
FROM (SELECT payout_id, max(at) AS at FROM payouts.events GROUP BY payout_id) AS e WHERE e.payout_id = p.payout_id;
UPDATE cases AS c SET last_at = a.at
FROM (SELECT chain, max(at) AS at FROM audit WHERE chain <> 0 GROUP BY chain) AS a WHERE a.chain = c.case_no;
UPDATE operators SET last_at = a.at FROM (SELECT max(at) AS at FROM audit WHERE chain = 0) AS a WHERE a.at IS NOT NULL;
UPDATE messages AS m SET told_at = o.at
FROM (SELECT message_no, max(sent_at) AS at FROM orders WHERE state IN ('ready', 'sending', 'sent', 'unknown') GROUP BY message_no) AS o
WHERE o.message_no = m.message_no AND o.at IS NOT NULL;

-- What is there already can not be put right, for it has been told and hashed. So what is out of order now is named, and no more than that.
CREATE TABLE early_moments (
    kind    text   NOT NULL CHECK (kind IN ('account', 'plan', 'payout', 'chain', 'message')),
    subject text   NOT NULL,
    until   bigint NOT NULL,
    PRIMARY KEY (kind, subject)
);
COMMENT ON TABLE early_moments IS 'Where moments went back before they were taken under the locks: up to this number of a chain, `kvitt check` passes by.';
INSERT INTO early_moments (kind, subject, until)
SELECT w.kind, w.subject, max(w.number)
FROM (
    SELECT 'account' AS kind, account_id::text AS subject, entry AS number, at,
           lag(at) OVER (PARTITION BY account_id ORDER BY entry) AS before
    FROM ledger.entries
    UNION ALL
    SELECT 'plan', plan_id, batch_id, at, lag(at) OVER (PARTITION BY plan_id ORDER BY batch_id) FROM ledger.steps
    UNION ALL
    SELECT 'payout', payout_id, sequence, at, lag(at) OVER (PARTITION BY payout_id ORDER BY sequence) FROM payouts.events
    UNION ALL
    SELECT 'chain', chain::text, seq, at, lag(at) OVER (PARTITION BY chain ORDER BY seq) FROM audit
    UNION ALL
    SELECT 'message', message_no::text, outbox_no, made_at, lag(made_at) OVER (PARTITION BY message_no ORDER BY outbox_no)
    FROM outbox WHERE message_no IS NOT NULL
) AS w
WHERE w.at < w.before
GROUP BY w.kind, w.subject;
CREATE FUNCTION refuse_early_moments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'early_moments is written once' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER written_once BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON early_moments
FOR EACH STATEMENT EXECUTE FUNCTION refuse_early_moments();
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON early_moments FROM PUBLIC;
