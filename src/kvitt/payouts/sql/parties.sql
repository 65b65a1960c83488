-- name: party
-- A party as it was loaded last.
SELECT party_id, revision, loaded_at, document FROM parties.parties WHERE party_id = %b;

-- name: houses
-- The accounts that no shop has, in those of some currencies in which there are any.
SELECT currency, document FROM parties.house WHERE currency = ANY (%b::text[]);

-- name: some_parties
-- Those of some ids that there are.
SELECT party_id, revision, loaded_at, document FROM parties.parties WHERE party_id = ANY (%b::text[]);

-- name: parties
-- All parties by id.
SELECT party_id, revision, loaded_at, document FROM parties.parties ORDER BY party_id;

-- name: put_parties
-- Stores parties; one that is the same as before keeps its revision, another one gets the next. Returns those that changed.
-- In the order of their ids, so that two loadings at once do not wait for each other.
INSERT INTO parties.parties AS p (party_id, revision, loaded_at, document)
SELECT w.party_id, 1, %(now)b, w.document FROM unnest(%(ids)b::text[], %(documents)b::bytea[]) AS w (party_id, document)
ORDER BY w.party_id
ON CONFLICT (party_id) DO UPDATE SET revision = p.revision + 1, loaded_at = greatest(p.loaded_at, excluded.loaded_at), document = excluded.document
WHERE p.document <> excluded.document
RETURNING party_id, revision;

-- name: put_house
-- Stores the house's accounts in each currency.
INSERT INTO parties.house AS h (currency, loaded_at, document)
SELECT w.currency, %(now)b, w.document FROM unnest(%(currencies)b::text[], %(documents)b::bytea[]) AS w (currency, document)
ORDER BY w.currency
ON CONFLICT (currency) DO UPDATE SET loaded_at = greatest(h.loaded_at, excluded.loaded_at), document = excluded.document
WHERE h.document <> excluded.document
RETURNING currency;
