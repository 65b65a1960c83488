-- name: waits_for
-- How many acts wait for the word of somebody who has not asked for them, up to a bound, and the first of them.
SELECT count(*) AS approvals, min(w.approval_no) AS first_no
FROM (
    SELECT a.approval_no
    FROM kvitt_views.approvals AS a
    WHERE a.state = 'asked' AND a.lapses_at > %(now)s AND (a.asked_issuer, a.asked_by) IS DISTINCT FROM (%(issuer)s, %(person)s)
    LIMIT %(limit)s
) AS w;
