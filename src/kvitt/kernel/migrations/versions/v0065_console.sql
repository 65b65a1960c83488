-- The console: logins that were begun, sessions, whom they show, and who looked at whom; and views that its pages read.

CREATE SCHEMA console;
COMMENT ON SCHEMA console IS 'Who is logged in at the operators'' pages, and what they looked at.';

CREATE TABLE console.logins (
    -- Of the cookie that the browser had before the login.
    browser_hash bytea       PRIMARY KEY,
    state_hash   bytea       NOT NULL,
    nonce        text        NOT NULL,
    verifier     text        NOT NULL,
    next_path    text        NOT NULL,
    begun_at     timestamptz NOT NULL
);
CREATE INDEX logins_begun ON console.logins (begun_at);
COMMENT ON TABLE console.logins IS 'Logins under way; each is taken out when its browser comes back from the issuer, or too late.';

CREATE TABLE console.sessions (
    -- Of the id in the cookie, which stands nowhere.
    session_hash bytea       PRIMARY KEY,
    issuer       text        NOT NULL,
    person       text        NOT NULL,
    name         text        NOT NULL,
    roles        text[]      NOT NULL,
    began_at     timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    ended_at     timestamptz
);
COMMENT ON TABLE console.sessions IS 'Who was logged in, with which roles, from when until when. `person` is the claim by which people are told apart.';
COMMENT ON COLUMN console.sessions.seen_at IS 'Written once a minute at most.';

CREATE TABLE console.revealed_cases (
    session_hash bytea       NOT NULL,
    case_no      bigint      NOT NULL,
    revealed_at  timestamptz NOT NULL,
    PRIMARY KEY (session_hash, case_no)
);
COMMENT ON TABLE console.revealed_cases IS 'Cases whose person a session shows, because its person asked for it.';

CREATE TABLE console.looks (
    look_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    looked_at timestamptz NOT NULL,
    issuer    text        NOT NULL,
    person    text        NOT NULL,
    name      text        NOT NULL,
    what      text        NOT NULL,
    case_no   bigint
);
CREATE INDEX looks_at_case ON console.looks (case_no, look_no) WHERE case_no IS NOT NULL;
COMMENT ON TABLE console.looks IS 'Each look at what is about a person: who, at what, when. Written in the transaction that read what was shown.';

-- Cases are looked for by the beginning of their ids, whatever the collation.
CREATE INDEX cases_by_id ON cases (case_id text_pattern_ops);

CREATE VIEW kvitt_views.looks AS
SELECT l.look_no, l.looked_at, l.person AS looked_by, l.name, l.what, l.case_no, c.scheme, c.case_id
FROM console.looks AS l LEFT JOIN public.cases AS c ON c.case_no = l.case_no;

CREATE VIEW kvitt_views.console_sessions AS
SELECT s.person AS logged_in, s.name, s.roles, s.began_at, s.seen_at, s.ends_at, s.ended_at FROM console.sessions AS s;

CREATE VIEW kvitt_views.leases AS
SELECT l.lease, l.owner, l.fencing_token, CASE WHEN isfinite(l.until) THEN l.until END AS until, l.until > now() AS is_held, l.position
FROM public.leases AS l;

CREATE VIEW kvitt_views.audit_entries AS
SELECT a.chain, a.seq, a.at, a.what, a.message_no, a.order_id, a.receipt_no, a.digest, a.note, a.hash FROM public.audit AS a;

-- All that waits for a person, or for something that may never come, in one list; not what waits for its turn.
CREATE VIEW kvitt_views.attention AS
SELECT s.what, c.case_no, s.scheme, s.case_id, s.area, s.order_id, s.message_no, NULL::bigint AS approval_no, s.since, s.sum_kroner, s.why, s.ends_by
FROM kvitt_views.stuck AS s LEFT JOIN public.cases AS c ON c.scheme = s.scheme AND c.case_id = s.case_id
WHERE s.what NOT IN ('message queued', 'case locked')
UNION ALL
SELECT 'approval asked', NULL, NULL, NULL, NULL, NULL, NULL, a.approval_no, a.asked_at, NULL,
       a.asked_by || ' asks to ' || a.act || ' ' || a.subject || ': ' || a.reason, 'kvitt approve yes or no'
FROM public.approvals AS a WHERE a.state = 'asked' AND a.lapses_at > now()
UNION ALL
SELECT 'rail silent', NULL, NULL, NULL, NULL, NULL, NULL, NULL, r.since, NULL, r.rail || ' answers no simulation, though it should be open',
       'the rail''s answer'
FROM public.rail_alarms AS r WHERE r.cleared_at IS NULL
UNION ALL
SELECT 'reconciliation late', NULL, NULL, NULL, r.area, NULL, NULL, NULL, r.since, NULL, r.area || ' is not reconciled: ' || r.kind,
       'kvitt reconcile due'
FROM public.reconciliation_alarms AS r WHERE r.cleared_at IS NULL
UNION ALL
SELECT 'job failed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, coalesce(j.last_due, j.next_due), NULL,
       j.name || ' failed ' || j.tries || ' times: ' || coalesce(j.outcome, ''), 'the next try'
FROM public.jobs AS j WHERE j.state = 'failed';

-- What is not finished, of each kind, counted up to a bound.
CREATE VIEW kvitt_views.backlogs AS
SELECT b.what, count(b.at)::integer AS rows, count(b.at) > 1000 AS is_at_least, min(b.at) AS oldest
FROM (
    SELECT 'published' AS what, x.made_at AS at
    FROM (SELECT o.made_at FROM public.outbox AS o WHERE o.relayed_at IS NULL ORDER BY o.outbox_no LIMIT 1001) AS x
    UNION ALL
    SELECT 'messages', x.received_at
    FROM (SELECT m.received_at FROM public.messages AS m WHERE m.state IN ('received', 'queued', 'derived') ORDER BY m.received_at LIMIT 1001) AS x
    UNION ALL
    SELECT 'dead letters', x.at FROM (SELECT d.at FROM public.dead_letters AS d WHERE d.state = 'open' ORDER BY d.dead_no LIMIT 1001) AS x
    UNION ALL
    SELECT 'deferred', x.came_at FROM (SELECT d.came_at FROM public.deferred AS d WHERE d.taken_at IS NULL LIMIT 1001) AS x
    UNION ALL
    SELECT 'orders ' || s.state, x.made_at
    FROM (VALUES ('ready'), ('sending'), ('sent'), ('unknown')) AS s (state)
    CROSS JOIN LATERAL (SELECT o.made_at FROM public.orders AS o WHERE o.state = s.state AND o.state IN ('ready', 'sending', 'sent', 'unknown')
                        LIMIT 1001) AS x
) AS b
GROUP BY b.what;

-- What came in and what left, byte for byte: personal data.
CREATE VIEW kvitt_views.message_texts AS SELECT m.message_no, m.case_no, m.key, m.headers, m.body, m.answer FROM public.messages AS m;
CREATE VIEW kvitt_views.order_texts AS SELECT o.order_id, o.case_no, o.message FROM public.orders AS o;
CREATE VIEW kvitt_views.receipt_texts AS SELECT r.receipt_no, r.order_id, r.body FROM public.receipts AS r;
CREATE VIEW kvitt_views.dead_letter_texts AS SELECT d.dead_no, d.key, d.headers, d.body FROM public.dead_letters AS d;
COMMENT ON VIEW kvitt_views.message_texts IS 'Messages as they came: personal data.';
COMMENT ON VIEW kvitt_views.order_texts IS 'Orders as they left: personal data.';
COMMENT ON VIEW kvitt_views.receipt_texts IS 'Receipts as they came: personal data.';
COMMENT ON VIEW kvitt_views.dead_letter_texts IS 'Dead letters as they came: personal data.';

-- Whom the newest order of a case is for: by this column cases of a person are found.
CREATE OR REPLACE VIEW kvitt_views.persons AS
SELECT c.case_no, c.scheme, c.case_id, c.person, c.ordered_for FROM public.cases AS c;

-- Payments and lines by their ids alone, through the indexes that keep these ids from being made twice.
CREATE VIEW kvitt_views.payments_by_id AS
SELECT p.payment_id, p.case_no, p.state FROM public.payments AS p WHERE p.client_chose AND p.state = 'pending'
UNION ALL
SELECT p.payment_id, p.case_no, p.state FROM public.payments AS p WHERE p.client_chose AND p.state = 'accepted' AND NOT p.superseded;

CREATE VIEW kvitt_views.lines_by_id AS
SELECT l.line_id, l.order_id, l.payment_id FROM public.order_lines AS l
WHERE l.ceased_from IS NULL AND NOT l.forwarded AND l.line_id NOT LIKE '%#%';
