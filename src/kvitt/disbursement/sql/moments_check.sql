-- Moments grow along every chain that has a lock: what `kvitt check` compares. Each statement walks one table in the order of its key.

-- name: chains_going_back
-- Entries of audit chains that are earlier than the one before; chain 0 is that of the operators.
SELECT nullif(w.chain, 0), w.seq::text, 'is earlier than the entry before'
FROM (SELECT chain, seq, at, lag(at) OVER (PARTITION BY chain ORDER BY seq) AS before FROM audit) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'chain' AND m.subject = w.chain::text AND w.seq <= m.until);

-- name: chains_behind
-- Cases, and the operators' chain, whose last moment is not the latest one of their chain.
SELECT nullif(c.chain, 0), 'last_at', 'is not the latest moment of the chain'
FROM (SELECT case_no AS chain, audit_seq, last_at FROM cases UNION ALL SELECT chain, audit_seq, last_at FROM operators) AS c
JOIN (SELECT chain, max(at) AS at FROM audit GROUP BY chain) AS a ON a.chain = c.chain
WHERE c.last_at <> a.at;

-- name: published_going_back
-- What was published about a message earlier than what was published about it before.
SELECT w.case_no, w.outbox_no::text, 'is about a message, and earlier than what was published about it before'
FROM (
    SELECT o.case_no, o.message_no, o.outbox_no, o.made_at, lag(o.made_at) OVER (PARTITION BY o.message_no ORDER BY o.outbox_no) AS before
    FROM outbox AS o WHERE o.message_no IS NOT NULL
) AS w
WHERE w.made_at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'message' AND m.subject = w.message_no::text AND w.outbox_no <= m.until);
