-- What the console need not keep is found by its age; who looked at what is kept for a year at least, whoever wants it gone.
CREATE INDEX sessions_ended ON console.sessions (ends_at);
CREATE INDEX revealed_cases_since ON console.revealed_cases (revealed_at);
CREATE INDEX done_forms_since ON console.done_forms (done_at);

CREATE FUNCTION console.keep_looks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.looked_at > now() - interval '1 year' THEN
        RAISE EXCEPTION 'a look is kept for a year at least' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER keep_looks BEFORE DELETE ON console.looks FOR EACH ROW EXECUTE FUNCTION console.keep_looks();
