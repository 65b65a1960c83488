-- How cases of an older system are taken over, a batch at a time.

-- name: imported_entries
-- The entries by which cases were taken over before.
SELECT a.chain, a.digest, a.note
FROM unnest(%b::bigint[]) AS w (case_no)
CROSS JOIN LATERAL (SELECT * FROM audit AS q WHERE q.chain = w.case_no AND q.what = 'imported' OFFSET 0) AS a;

-- name: owners_of_payments
-- The cases that have payments of these ids, by their callers' choice, accepted or pending.
SELECT w.payment_id::text, c.scheme, c.case_id
FROM unnest(%b::uuid[]) AS w (payment_id)
CROSS JOIN LATERAL (
    SELECT q.case_no FROM payments AS q
    WHERE q.payment_id = w.payment_id AND q.client_chose
      AND (q.state = 'pending' OR (q.state = 'accepted' AND NOT q.superseded))
    OFFSET 0
) AS p
JOIN cases AS c ON c.case_no = p.case_no;

-- name: add_accepted
-- Stores versions of payments that the rail has accepted before our time.
INSERT INTO payments (case_no, payment_id, version, order_id, area, action, client_chose, position_in_case, last_line, document, position, currency, state)
SELECT p.*, 'accepted'
FROM unnest(%b::bigint[], %b::uuid[], %b::integer[], %b::uuid[], %b::text[], %b::text[], %b::boolean[], %b::bigint[], %b::text[],
            %b::bytea[], %b::integer[], %b::text[]) AS p;

-- name: add_decisions
-- Stores decisions that were received before our time, under numbers in the order in which they come.
INSERT INTO imported_decisions (message_no, case_no, subject, name, state, digest, answer)
SELECT nextval('message_numbers'), d.case_no, d.subject, d.name, d.state, d.digest, d.answer
FROM (
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::bytea[])
    WITH ORDINALITY AS u (case_no, subject, name, state, digest, answer, place)
    ORDER BY u.place
    OFFSET 0
) AS d;
