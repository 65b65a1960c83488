-- name: cases_of_persons
-- The cases among those that ask whose person has another case as well, with the schemes to look in.
SELECT w.case_no
FROM unnest(%b::bigint[], %b::text[], %b::text[]) AS w (case_no, person, schemes)
WHERE EXISTS (
    SELECT FROM cases AS q
    WHERE q.ordered_for = w.person AND q.case_no <> w.case_no AND q.scheme = ANY (string_to_array(w.schemes, ','))
    OFFSET 0
);

-- name: payments_of_other_cases
-- The payments that other cases of a person have, accepted or under way or such as the rail may have, for cases that ask, with the schemes to
-- look in; of each other case also the class codes which two people have let both of them pay. Not more than so many cases, newest first.
SELECT w.case_no AS asked_by, c.case_no, c.scheme, c.case_id, p.document, e.exempt
FROM unnest(%b::bigint[], %b::text[], %b::text[]) AS w (case_no, person, schemes)
CROSS JOIN LATERAL (
    SELECT q.case_no, q.scheme, q.case_id, q.open_orders FROM cases AS q
    WHERE q.ordered_for = w.person AND q.case_no <> w.case_no AND q.scheme = ANY (string_to_array(w.schemes, ','))
    ORDER BY q.case_no DESC
    LIMIT %b
) AS c
LEFT JOIN LATERAL (
    SELECT array_agg(x.class_code) AS exempt FROM exempt_pairs AS x
    WHERE x.case_no = least(c.case_no, w.case_no) AND x.other_case_no = greatest(c.case_no, w.case_no)
) AS e ON true
LEFT JOIN LATERAL (
    (
        SELECT q.document FROM payments AS q WHERE q.case_no = c.case_no AND q.state = 'accepted' AND NOT q.superseded
        OFFSET 0
    )
    UNION ALL
    (
        SELECT d.document
        FROM orders AS o JOIN payments AS d ON d.order_id = o.order_id AND d.state = 'pending'
        WHERE c.open_orders > 0 AND o.case_no = c.case_no AND o.state IN ('ready', 'sending', 'sent', 'unknown')
        OFFSET 0
    )
    UNION ALL
    (
        SELECT d.document
        FROM orders AS o JOIN payments AS d ON d.case_no = o.case_no AND d.version = o.number AND d.state = 'dropped'
        WHERE o.case_no = c.case_no AND o.state IN ('rejected', 'withdrawn') AND (o.decided_by_hand OR o.resends > 0)
        OFFSET 0
    )
) AS p ON true;

-- name: lines_of_other_cases
-- The same of cases whose senders make the lines: those of orders that are accepted, and, not certain yet, of those that are under way or
-- that the rail may have; oldest first.
SELECT w.case_no AS asked_by, c.case_no, c.scheme, c.case_id, l.recipient, l.line_id, l.refers_to, l.class_code, l.start_on AS start,
       l.end_on AS "end", l.amount, l.ceased_from, o.state = 'accepted' AS certain, e.exempt
FROM unnest(%b::bigint[], %b::text[], %b::text[]) AS w (case_no, person, schemes)
CROSS JOIN LATERAL (
    SELECT q.case_no, q.scheme, q.case_id FROM cases AS q
    WHERE q.ordered_for = w.person AND q.case_no <> w.case_no AND q.scheme = ANY (string_to_array(w.schemes, ','))
    ORDER BY q.case_no DESC
    LIMIT %b
) AS c
LEFT JOIN LATERAL (
    SELECT array_agg(x.class_code) AS exempt FROM exempt_pairs AS x
    WHERE x.case_no = least(c.case_no, w.case_no) AND x.other_case_no = greatest(c.case_no, w.case_no)
) AS e ON true
CROSS JOIN LATERAL (
    SELECT q.order_id, q.number, q.state FROM orders AS q
    WHERE q.case_no = c.case_no
      AND (q.state IN ('accepted', 'ready', 'sending', 'sent', 'unknown')
           OR (q.state IN ('rejected', 'withdrawn') AND (q.decided_by_hand OR q.resends > 0)))
    OFFSET 0
) AS o
JOIN order_lines AS l ON l.order_id = o.order_id
ORDER BY w.case_no, c.case_no, o.number, l.position;

-- name: lock_persons
-- Has this transaction decide alone, from now to its end, about what these persons are paid; what is read next holds until then.
SELECT count(pg_advisory_xact_lock(p.key))
FROM (SELECT DISTINCT hashtextextended(w.person, 15) AS key FROM unnest(%b::text[]) AS w (person) ORDER BY 1 OFFSET 0) AS p;

-- name: exempt_pairs
-- Remembers which other cases were found to pay what a released order pays: the same pair does not hold an order again.
INSERT INTO exempt_pairs (case_no, other_case_no, class_code, order_id)
SELECT DISTINCT least(f.case_no, f.other_case_no), greatest(f.case_no, f.other_case_no), f.class_code, f.order_id
FROM outside_findings AS f
WHERE f.order_id = %(order_id)s AND f.other_case_no IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: list_exempt_pairs
-- The pairs of cases that hold no orders of each other for a class code, newest release first; those of one release if an order is named.
SELECT c.scheme, c.case_id, o.scheme AS other_scheme, o.case_id AS other_case_id, x.class_code, x.order_id::text
FROM exempt_pairs AS x
JOIN cases AS c ON c.case_no = x.case_no
JOIN cases AS o ON o.case_no = x.other_case_no
JOIN orders AS q ON q.order_id = x.order_id
WHERE x.order_id = %(order_id)s::uuid OR %(order_id)s::uuid IS NULL
ORDER BY q.message_no DESC, x.class_code, x.case_no, x.other_case_no
LIMIT %(limit)s;

-- name: end_exempt_pairs
-- The cases that the release of an order let pay the same days hold each other's orders again.
DELETE FROM exempt_pairs AS x WHERE x.order_id = %(order_id)s;
