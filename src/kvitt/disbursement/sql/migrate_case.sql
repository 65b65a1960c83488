-- name: moved_before
-- The payments of a case that were moved to a contract, by the ids that they had and have, oldest first.
SELECT payment_id::text, moved_to::text FROM moved_payments WHERE case_no = %b AND contract = %b ORDER BY version;

-- name: taken_ids
-- Those of these ids, which a caller chose, that a payment of another case has, or will have once its order is taken.
SELECT w.payment_id::text FROM unnest(%b::uuid[]) AS w (payment_id) CROSS JOIN (SELECT %b::bigint AS case_no) AS c
WHERE EXISTS (
    SELECT FROM payments AS p
    WHERE p.payment_id = w.payment_id AND p.client_chose AND p.case_no <> c.case_no
      AND (p.state = 'pending' OR (p.state = 'accepted' AND NOT p.superseded))
);

-- name: supersede
-- These payments hold no more under these ids.
UPDATE payments AS p SET superseded = true
FROM unnest(%b::bigint[], %b::uuid[]) AS w (case_no, payment_id)
WHERE p.case_no = w.case_no AND p.payment_id = w.payment_id AND p.state = 'accepted' AND NOT p.superseded;

-- name: add_moved
-- Stores versions of payments that are accepted from the start: the rail has them already, under other ids of ours.
INSERT INTO payments (case_no, payment_id, version, order_id, area, action, client_chose, position_in_case, last_line, document, position, currency, state)
SELECT p.*, 'accepted'
FROM unnest(%b::bigint[], %b::uuid[], %b::integer[], %b::uuid[], %b::text[], %b::text[], %b::boolean[], %b::bigint[], %b::text[],
            %b::bytea[], %b::integer[], %b::text[]) AS p;

-- name: note_moves
-- Remembers under which ids payments go on.
INSERT INTO moved_payments (case_no, payment_id, moved_to, contract, version, at)
SELECT c.case_no, w.payment_id, w.moved_to, c.contract, c.version, c.at
FROM (SELECT %b::bigint AS case_no) AS n
CROSS JOIN unnest(%b::uuid[], %b::uuid[]) AS w (payment_id, moved_to)
CROSS JOIN LATERAL (SELECT n.case_no, %b::text AS contract, %b::integer AS version, %b::timestamptz AS at) AS c;
