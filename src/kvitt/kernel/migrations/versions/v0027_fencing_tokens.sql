-- What makes an old owner of a lease harmless is called what others call it.

ALTER TABLE leases RENAME COLUMN epoch TO fencing_token;
COMMENT ON TABLE leases IS 'What must have one owner at a time; every write under a lease carries its fencing token, so an old owner can do no harm.';
