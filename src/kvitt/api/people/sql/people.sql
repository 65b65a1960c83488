-- name: issuer_of_people
-- An issuer of people who have logged in here, other than that of made-up ones.
SELECT issuer FROM console.sessions WHERE issuer <> %(made_up)s LIMIT 1;

-- name: add_look
-- Somebody looked at what is about a person.
INSERT INTO console.looks (looked_at, issuer, person, name, what, case_no)
VALUES (%(now)s, %(issuer)s, %(person)s, %(name)s, %(what)s, %(case_no)s);
