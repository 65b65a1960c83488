-- What only all rows of the ledger together can show: totals, histories, steps, moments, currencies.

-- name: anything_in_ledger
-- Whether there is anything in the ledger: what the other statements find is about rows of these tables.
SELECT EXISTS (SELECT FROM ledger.accounts) OR EXISTS (SELECT FROM ledger.plans) OR EXISTS (SELECT FROM ledger.steps)
    OR EXISTS (SELECT FROM ledger.postings) OR EXISTS (SELECT FROM ledger.entries);

-- name: bounds_differ
-- Accounts whose bounds are not as far from what is posted on them as their open plans give, netted per plan.
SELECT NULL::bigint, a.account_id::text, 'has other bounds than its open plans give'
FROM ledger.accounts AS a
LEFT JOIN (
    SELECT n.account_id, sum(least(n.net, 0)) AS less, sum(greatest(n.net, 0)) AS more
    FROM (
        SELECT m.account_id, sum(m.amount) AS net
        FROM ledger.plans AS p
        JOIN ledger.postings AS q ON q.plan_id = p.plan_id
        CROSS JOIN LATERAL (VALUES (q.source, -q.amount), (q.target, q.amount)) AS m (account_id, amount)
        WHERE p.state = 'held'
        GROUP BY p.plan_id, m.account_id
    ) AS n
    GROUP BY n.account_id
) AS o ON o.account_id = a.account_id
WHERE (a.available_min::numeric - a.posted, a.available_max::numeric - a.posted) IS DISTINCT FROM (coalesce(o.less, 0), coalesce(o.more, 0));

-- name: currencies_differ
-- Currencies whose accounts do not add up to zero.
SELECT NULL::bigint, currency, 'adds up to ' || sum(posted) || ', not to zero'
FROM ledger.accounts GROUP BY currency HAVING sum(posted::numeric) <> 0;

-- name: histories_differ
-- Accounts whose history does not end with their totals.
SELECT NULL::bigint, a.account_id::text, 'has other totals than its last entry'
FROM ledger.accounts AS a LEFT JOIN ledger.entries AS e ON e.account_id = a.account_id AND e.entry = a.entries
WHERE (a.posted, a.available_min, a.available_max) IS DISTINCT FROM
      (coalesce(e.posted, 0), coalesce(e.available_min, 0), coalesce(e.available_max, 0));

-- name: ends_differ
-- Plans whose state is not that of their last step, and last steps of no plan.
SELECT NULL::bigint, plan_id, 'is ' || coalesce(p.state, 'not there') || ', and ' || coalesce(f.operation, 'nothing') || ' has ended it'
FROM ledger.plans AS p
FULL JOIN (SELECT plan_id, operation, batch_id FROM ledger.steps WHERE operation <> 'HOLD') AS f USING (plan_id)
WHERE p.state IS DISTINCT FROM CASE f.operation WHEN 'COMMIT' THEN 'committed' WHEN 'ROLLBACK' THEN 'rolled back' ELSE 'held' END
   OR f.batch_id <> 9223372036854775807;

-- name: holds_differ
-- Plans that were never held, and holds of no plan.
SELECT NULL::bigint, plan_id, CASE WHEN p.state IS NULL THEN 'was held, and is not there' ELSE 'was never held' END
FROM ledger.plans AS p FULL JOIN (SELECT plan_id, batch_id FROM ledger.steps WHERE operation = 'HOLD') AS h USING (plan_id)
WHERE p.state IS NULL OR h.batch_id IS NULL;

-- name: batches_differ
-- Holds of batches that have no postings. Postings of no hold are found with the entries: if there are as many batches as holds, and none
-- without a hold, then no hold is without its batch either, and nothing has to be joined.
SELECT NULL::bigint, s.plan_id, 'has no postings in batch ' || s.batch_id
FROM ledger.steps AS s
WHERE (SELECT count(*) FROM ledger.steps WHERE operation = 'HOLD') <> (SELECT count(*) FROM ledger.postings WHERE position = 0)
  AND s.operation = 'HOLD' AND NOT EXISTS (SELECT FROM ledger.postings AS q WHERE q.plan_id = s.plan_id AND q.batch_id = s.batch_id);

-- name: entries_differ
-- Accounts whose entries have gaps, are not those that the steps have noted, or of which one moved the account by something else than the
-- postings of its step: a hold moves both bounds together by what its batch nets, a commit moves what is posted and the bounds by what the plan nets,
-- a rollback moves the bounds back. To join every entry with its postings would sort them all. Each entry is given a weight by chance
-- instead (by account, number and `seed`), and sums of weighted movements are compared: those that the totals show with those that the
-- postings ask for; what committed plans give in all is compared as it is. What differs, differs in the sums too, but for one seed in 2^29.
-- Totals are split at bit 31, so that products fit 64 bits.
WITH shown AS (
    SELECT e.account_id, count(*) AS entries, min(e.entry) AS first, max(e.entry) AS newest, sum(t.who) AS who,
           sum((e.posted >> 31) * t.by) * 2147483648 + sum((e.posted & 2147483647) * t.by) AS posted,
           sum(((e.available_min >> 31) + (e.available_max >> 31)) * t.by) * 2147483648
               + sum(((e.available_min & 2147483647) + (e.available_max & 2147483647)) * t.by) AS bounds
    FROM ledger.entries AS e
    CROSS JOIN LATERAL (SELECT hashint8extended(e.entry, %(seed)s::bigint # e.account_id) & 536870911 AS weight,
                               hashint8extended(e.entry + 1, %(seed)s::bigint # e.account_id) & 536870911 AS next) AS w
    CROSS JOIN LATERAL (SELECT w.weight - w.next AS by,
                               w.weight * (hashtextextended(e.plan_id, %(seed)s::bigint # e.batch_id # ascii(e.operation)) & 536870911) AS who) AS t
    GROUP BY e.account_id
), noted AS (
    SELECT t.account_id, count(*) AS entries, sum((hashint8extended(t.entry, %(seed)s::bigint # t.account_id) & 536870911) * t.step) AS who
    FROM (SELECT unnest(s.accounts) AS account_id, unnest(s.entries) AS entry,
                 hashtextextended(s.plan_id, %(seed)s::bigint # s.batch_id # ascii(s.operation)) & 536870911 AS step
          FROM ledger.steps AS s) AS t
    GROUP BY t.account_id
), asked AS (
    SELECT m.account_id, bool_or(m.held IS NULL OR (m.ended IS NULL AND d.way <> 0)) AS unnoted, sum(m.amount * greatest(d.way, 0)) AS committed,
           sum((m.amount >> 31) * w.posted) * 2147483648 + sum((m.amount & 2147483647) * w.posted) AS posted,
           sum((m.amount >> 31) * w.bounds) * 2147483648 + sum((m.amount & 2147483647) * w.bounds) AS bounds
    FROM ledger.postings AS q
    LEFT JOIN ledger.steps AS h ON h.plan_id = q.plan_id AND h.batch_id = q.batch_id AND h.operation = 'HOLD'
    LEFT JOIN ledger.steps AS f ON f.plan_id = q.plan_id AND f.operation <> 'HOLD'
    CROSS JOIN LATERAL (SELECT CASE f.operation WHEN 'COMMIT' THEN 1 WHEN 'ROLLBACK' THEN -1 ELSE 0 END AS way) AS d
    CROSS JOIN LATERAL (
        VALUES (q.source, -q.amount, h.entries[array_position(h.accounts, q.source)], f.entries[array_position(f.accounts, q.source)]),
               (q.target, q.amount, h.entries[array_position(h.accounts, q.target)], f.entries[array_position(f.accounts, q.target)])
    ) AS m (account_id, amount, held, ended)
    CROSS JOIN LATERAL (
        SELECT hashint8extended(m.held, %(seed)s::bigint # m.account_id) & 536870911 AS held,
               d.way * coalesce(hashint8extended(m.ended, %(seed)s::bigint # m.account_id) & 536870911, 0) AS ended
    ) AS x
    CROSS JOIN LATERAL (SELECT greatest(x.ended, 0) AS posted, x.held + x.ended AS bounds) AS w
    GROUP BY m.account_id
), latest AS (
    SELECT account_id, entries, posted AS committed, posted * weight AS posted, (available_min + available_max) * weight AS bounds
    FROM (SELECT account_id, entries, posted::numeric, available_min::numeric, available_max::numeric,
                 hashint8extended(entries + 1, %(seed)s::bigint # account_id) & 536870911 AS weight
          FROM ledger.accounts) AS a
)
SELECT NULL::bigint, account_id::text, 'was moved by something else than its postings, or has entries of no step'
FROM latest FULL JOIN shown USING (account_id) FULL JOIN noted USING (account_id) FULL JOIN asked USING (account_id)
WHERE latest.account_id IS NULL OR asked.unnoted OR latest.committed <> coalesce(asked.committed, 0)
   OR (latest.entries, latest.entries, least(latest.entries, 1), latest.entries) IS DISTINCT FROM
      (coalesce(shown.entries, 0), coalesce(shown.newest, 0), coalesce(shown.first, 0), coalesce(noted.entries, 0))
   OR (noted.who, asked.posted, asked.bounds) IS DISTINCT FROM (shown.who, shown.posted + latest.posted, shown.bounds + latest.bounds);

-- name: accounts_going_back
-- Entries that are earlier than the one before them on their account; those that were there before moments were taken under the lock are
-- passed by.
SELECT NULL::bigint, w.account_id::text, 'has an entry ' || w.entry || ' that is earlier than the one before'
FROM (SELECT account_id, entry, at, lag(at) OVER (PARTITION BY account_id ORDER BY entry) AS before FROM ledger.entries) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'account' AND m.subject = w.account_id::text AND w.entry <= m.until);

-- name: accounts_behind
-- Accounts whose last moment is earlier than their last entry: the next entry could be earlier as well.
SELECT NULL::bigint, a.account_id::text, 'has an entry that is later than its last moment'
FROM ledger.accounts AS a JOIN ledger.entries AS e ON e.account_id = a.account_id AND e.entry = a.entries
WHERE e.at > a.last_at;

-- name: entries_beside_steps
-- Entries with another moment than the step that made them.
SELECT NULL::bigint, e.account_id::text, 'has an entry ' || e.entry || ' with another moment than its step'
FROM ledger.entries AS e
JOIN ledger.steps AS s ON s.plan_id = e.plan_id AND s.operation = e.operation AND s.batch_id = e.batch_id
WHERE e.at <> s.at;

-- name: plans_going_back
-- Plans with a step that is earlier than the one before: batches by their number, the end last.
SELECT NULL::bigint, w.plan_id, 'has a step that is earlier than the one before'
FROM (SELECT plan_id, batch_id, at, lag(at) OVER (PARTITION BY plan_id ORDER BY batch_id) AS before FROM ledger.steps) AS w
WHERE w.at < w.before
  AND NOT EXISTS (SELECT FROM early_moments AS m WHERE m.kind = 'plan' AND m.subject = w.plan_id AND w.batch_id <= m.until);

-- name: plans_beside_steps
-- Plans that were not changed last when their last step was.
SELECT NULL::bigint, p.plan_id, 'was changed at another moment than its last step'
FROM ledger.plans AS p JOIN (SELECT plan_id, max(at) AS at FROM ledger.steps GROUP BY plan_id) AS s ON s.plan_id = p.plan_id
WHERE p.changed_at <> s.at;

-- name: postings_of_other_currencies
-- Postings on accounts that are in another currency.
SELECT NULL::bigint, q.plan_id, 'moves ' || q.currency || ' on account ' || a.account_id || ', which is in ' || a.currency
FROM ledger.postings AS q
CROSS JOIN LATERAL (VALUES (q.source), (q.target)) AS s (account_id)
JOIN ledger.accounts AS a ON a.account_id = s.account_id
WHERE a.currency <> q.currency;
