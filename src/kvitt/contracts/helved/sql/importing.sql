-- name: make_room
-- Rooms for one import, gone with the session: records as they stand in the topics, and what they say about cases.
CREATE TEMP TABLE import_records (
    topic text, key bytea, partition integer NOT NULL, moved boolean NOT NULL, value bytea, PRIMARY KEY (topic, key)
);
CREATE TEMP TABLE import_payments (scheme text, case_id text, payment_id text, document bytea);
CREATE TEMP TABLE import_lists (place bigint GENERATED ALWAYS AS IDENTITY, scheme text, case_id text, payment_id text);

-- name: clear_room
-- Takes the rooms away.
DROP TABLE IF EXISTS import_records, import_payments, import_lists;

-- name: stage
-- Keeps the newest record of each key; one that was seen in another partition is marked, because nothing says which is newer.
INSERT INTO import_records AS r (topic, key, partition, moved, value)
SELECT * FROM unnest(%b::text[], %b::bytea[], %b::integer[], %b::boolean[], %b::bytea[])
ON CONFLICT (topic, key) DO UPDATE
SET value = excluded.value, partition = excluded.partition,
    moved = r.moved OR excluded.moved OR r.partition <> excluded.partition;

-- name: staged
-- The newest record of each key of a topic, those left out that are tombstones.
SELECT key, moved, value FROM import_records WHERE topic = %s AND value IS NOT NULL ORDER BY key;

-- name: keep_payments
-- Payments under the cases that they name.
INSERT INTO import_payments (scheme, case_id, payment_id, document) SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bytea[]);

-- name: keep_lists
-- The payments that case lists name, in their order; an empty list is one row without a payment.
INSERT INTO import_lists (scheme, case_id, payment_id)
SELECT l.scheme, l.case_id, l.payment_id
FROM unnest(%b::text[], %b::text[], %b::text[]) WITH ORDINALITY AS l (scheme, case_id, payment_id, place)
ORDER BY l.place;

-- name: cases_to_import
-- Every case that a list or a payment names: whether it has a list, the payments on it, and the payments that there are.
SELECT scheme, case_id, l.scheme IS NOT NULL, coalesce(l.payment_ids, '{}'), coalesce(p.documents, '{}')
FROM (
    SELECT scheme, case_id, array_agg(payment_id ORDER BY place) FILTER (WHERE payment_id IS NOT NULL) AS payment_ids
    FROM import_lists GROUP BY scheme, case_id
) AS l
FULL JOIN (
    SELECT scheme, case_id, array_agg(document ORDER BY payment_id) AS documents FROM import_payments GROUP BY scheme, case_id
) AS p USING (scheme, case_id)
ORDER BY scheme, case_id;

-- name: close_cases
-- Keeps everybody else from making cases until this transaction ends.
LOCK TABLE cases IN SHARE ROW EXCLUSIVE MODE;

-- name: count_cases
-- How many cases there are.
SELECT count(*) FROM cases;

-- name: add_cases
-- Makes cases that the rail knows already; returns their numbers.
INSERT INTO cases (scheme, case_id, person, areas)
SELECT c.scheme, c.case_id, c.person, string_to_array(c.areas, ',')
FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[]) WITH ORDINALITY AS c (scheme, case_id, person, areas, place)
ORDER BY c.place
RETURNING case_no, scheme, case_id;
