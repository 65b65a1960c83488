-- name: parties
-- Parties behind an id.
SELECT party_id, revision, loaded_at, document FROM kvitt_views.parties WHERE party_id > %(after)s ORDER BY party_id LIMIT %(limit)s;

-- name: party
-- One party.
SELECT party_id, revision, loaded_at, document FROM kvitt_views.parties WHERE party_id = %(party_id)s;

-- name: house
-- The accounts in each currency that no shop has.
SELECT currency, loaded_at, document FROM kvitt_views.house_accounts ORDER BY currency;
