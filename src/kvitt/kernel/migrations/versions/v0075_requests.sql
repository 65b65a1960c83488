-- Who called and what they were answered, which messages failed and with which text, and what sources have used of their limits.

CREATE VIEW kvitt_views.calls AS
SELECT d.message_no, d.case_no, d.application, d.outcome FROM public.decisions AS d;

CREATE VIEW kvitt_views.source_hours AS
SELECT h.source, h.hour, h.kroner FROM public.source_hours AS h;

-- Answers that are kept for callers who ask again under the same key: personal data.
CREATE VIEW kvitt_views.answer_texts AS
SELECT r.subject, r.key, r.first_at, r.tries, r.status, r.content_type, r.body FROM rest.requests AS r;
COMMENT ON VIEW kvitt_views.answer_texts IS 'Answers under idempotency keys, byte for byte: personal data.';

-- Callers that have such answers, found by stepping through the index from one to the next.
CREATE VIEW kvitt_views.answered_callers AS
WITH RECURSIVE callers AS (
    SELECT min(r.subject) AS subject FROM rest.requests AS r WHERE r.subject > ''
    UNION ALL
    SELECT (SELECT min(r.subject) FROM rest.requests AS r WHERE r.subject > c.subject) FROM callers AS c WHERE c.subject IS NOT NULL
)
SELECT c.subject FROM callers AS c WHERE c.subject IS NOT NULL;

-- Messages that were answered with a failure, each with the text of that answer: may be personal data.
CREATE VIEW kvitt_views.failure_texts AS
SELECT m.message_no, m.case_no, m.scheme, m.source, m.received_at, d.application,
       coalesce(d.refused_text, substring(convert_from(m.answer, 'UTF8') FROM '"(?:msg|beskrivelse)" *: *"((?:[^"\\]|\\.)*)"'), '') AS text
FROM public.messages AS m
LEFT JOIN LATERAL (
    SELECT c.application, c.outcome, c.refused_text FROM public.decisions AS c WHERE c.message_no = m.message_no OFFSET 0
) AS d ON true
WHERE d.outcome = 'refused' OR (m.state = 'answered' AND (position('"status":"FEILET"'::bytea IN m.answer) > 0
                                                          OR position('"status":"AVVIST"'::bytea IN m.answer) > 0
                                                          OR position('"status":"FEIL"'::bytea IN m.answer) > 0));
COMMENT ON VIEW kvitt_views.failure_texts IS 'Failed messages with the text that their senders were answered: may be personal data.';
