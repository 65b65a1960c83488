-- Orders that are simulated before they leave: by what policy, and what was found.

CREATE TABLE order_checks (
    order_id       uuid        PRIMARY KEY,
    case_no        bigint      NOT NULL,
    message_no     bigint      NOT NULL,
    made_at        timestamptz NOT NULL,
    -- The policy as it was when the order was made.
    mode           text        NOT NULL CHECK (mode IN ('warn', 'block')),
    most_recovered bigint,
    waits          boolean     NOT NULL,
    question       bytea       NOT NULL,
    -- How often a request was made, and when the next is due; NULL while there is one, and once the check has ended.
    times_asked    integer     NOT NULL,
    due_at         timestamptz,
    -- Why it still waits, in the words of the last attempt.
    waits_for      text,
    ended_at       timestamptz,
    finding        text        CHECK (finding IN ('agrees', 'differs', 'refused', 'unavailable', 'skipped')),
    -- The request whose outcome was compared; NULL: none was made.
    request_no     bigint,
    checked_on     date,
    posted         boolean,
    recovered      bigint,
    differences    jsonb,
    picture        jsonb,
    note           text,
    -- The key of the dry run whose simulation an approver saw, and why the order was refused by that.
    seen           bytea,
    refusal        text,
    CHECK ((ended_at IS NULL) = (finding IS NULL))
);
CREATE INDEX order_checks_of_case ON order_checks (case_no);
CREATE INDEX order_checks_due ON order_checks (due_at) WHERE due_at IS NOT NULL;
COMMENT ON TABLE order_checks IS 'Orders that are simulated before they leave: by what policy, and what was found.';

-- An order that only waits for its simulation waits for no person, until the rail was asked twelve times in vain.
CREATE OR REPLACE VIEW kvitt_views.orders AS
SELECT o.order_id, o.case_no, c.scheme, c.case_id, o.number, o.rail, o.area, o.state, o.message_no, o.is_first_order, o.day, o.sum_kroner,
       (SELECT count(*) FROM public.order_lines AS l WHERE l.order_id = o.order_id) AS lines,
       o.held_for <> '[]' AND (o.held_for @? '$[*] ? (@.kind != "unchecked")'
                               OR EXISTS (SELECT FROM public.order_checks AS k
                                          WHERE k.order_id = o.order_id AND k.ended_at IS NULL AND k.times_asked >= 12)) AS is_held, o.held_for, o.made_at, o.sending_at, o.sent_at,
       o.settled_at, o.resends, o.was_unknown,
       o.decided_by_hand, o.taken_back, o.receipt_no,
       (SELECT k.rails FROM public.contradictions AS k WHERE k.order_id = o.order_id AND k.resolved_at IS NULL) AS rail_says
FROM public.orders AS o JOIN public.cases AS c ON c.case_no = o.case_no;

CREATE VIEW kvitt_views.order_checks AS
SELECT k.order_id, k.case_no, c.scheme, c.case_id, o.area, o.state, k.mode, k.most_recovered AS most_recovered_kroner, k.waits, k.made_at,
       k.times_asked, k.due_at, k.waits_for, k.ended_at, k.finding, k.request_no, k.recovered AS recovered_kroner, k.note
FROM public.order_checks AS k JOIN public.orders AS o ON o.order_id = k.order_id JOIN public.cases AS c ON c.case_no = k.case_no;
