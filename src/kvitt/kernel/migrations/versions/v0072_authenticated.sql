-- When the issuer had last seen who is logged in prove who they are: acts about much want that to be a few minutes ago.

ALTER TABLE console.sessions ADD COLUMN authenticated_at timestamptz;
COMMENT ON COLUMN console.sessions.authenticated_at IS 'As the issuer says (auth_time); null: it does not.';
