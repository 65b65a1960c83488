-- Decisions that come in by calls: whose a case is, its frame, and what was done of each call.

ALTER TABLE cases ADD COLUMN contract text, ADD COLUMN frame_start date, ADD COLUMN cap_kroner bigint CHECK (cap_kroner >= 0);
COMMENT ON COLUMN cases.contract IS 'The contract that opened the case with its first order or frame, or that the case was taken over under; NULL before.';
COMMENT ON COLUMN cases.frame_start IS 'The first day that may be paid without an approver; NULL: no such day is set.';
COMMENT ON COLUMN cases.cap_kroner IS 'How much may be paid a day without an approver; NULL: no cap is set.';

-- Each process takes a span of positions at once; none of them is ever given twice.
CREATE SEQUENCE decision_positions INCREMENT BY 1000000;

CREATE TABLE decisions (
    message_no     bigint  PRIMARY KEY,
    case_no        bigint,
    contract       text    NOT NULL,
    operation      text    NOT NULL,
    application    text    NOT NULL,
    person         text,
    by_approver    boolean NOT NULL,
    outcome        text    NOT NULL CHECK (outcome IN ('ordered', 'unchanged', 'repeated', 'refused', 'queued', 'simulated')),
    refused_status smallint,
    refused_text   text,
    refused_doc    text,
    refused_system text,
    CHECK ((outcome = 'refused') = (refused_status IS NOT NULL)),
    CHECK (num_nulls(refused_status, refused_text, refused_doc, refused_system) IN (0, 4))
);
CREATE INDEX decisions_received ON decisions (case_no, message_no) WHERE outcome IN ('ordered', 'unchanged');
CREATE INDEX decisions_of_case ON decisions (case_no, message_no);
COMMENT ON TABLE decisions IS 'Messages that came in by calls: who asked for what, and what was done at once.';
COMMENT ON COLUMN decisions.application IS 'The application whose token it was; `person` is the caseworker behind it, where there was one.';
COMMENT ON COLUMN decisions.outcome IS 'What is ordered or unchanged was received for good; a refused one leaves nothing else.';

CREATE OR REPLACE VIEW kvitt_views.cases AS
SELECT c.case_no, c.scheme, c.case_id, c.areas, c.orders_made, c.open_orders, c.queued AS queued_messages, c.contradictions,
       c.last_at, cardinality(c.unknown) > 0 AS has_unknown_payments, c.contract, c.frame_start, c.cap_kroner
FROM public.cases AS c;

CREATE VIEW kvitt_views.decisions AS
SELECT d.message_no, d.case_no, m.scheme, c.case_id, d.contract, d.operation, d.application, d.person AS caseworker, d.by_approver, d.outcome,
       d.refused_status, d.refused_text, i.subject AS decision_id, nullif(i.name, '') AS part_id, m.received_at, m.answered_at,
       CASE WHEN d.outcome NOT IN ('ordered', 'unchanged') THEN NULL
            WHEN o.orders IS NULL OR o.orders = 0 THEN 'without_payment'
            WHEN o.open > 0 THEN 'open'
            WHEN o.accepted > 0 THEN 'accepted'
            ELSE 'rejected' END AS state
FROM public.decisions AS d
JOIN public.messages AS m ON m.message_no = d.message_no
LEFT JOIN public.cases AS c ON c.case_no = d.case_no
LEFT JOIN public.idempotency_records AS i ON i.message_no = d.message_no
LEFT JOIN LATERAL (
    SELECT count(*) AS orders, count(*) FILTER (WHERE q.state IN ('ready', 'sending', 'sent', 'unknown')) AS open,
           count(*) FILTER (WHERE q.state = 'accepted') AS accepted
    FROM public.orders AS q WHERE q.message_no = d.message_no
) AS o ON true;
