-- What each order counts on the limit of its source: what a source has used of its limit in an hour is their sum, and can be proved. And
-- failures, as the contracts mean them.

CREATE TABLE limited_orders (
    case_no  bigint      NOT NULL,
    order_id uuid        NOT NULL,
    source   text        NOT NULL,
    hour     timestamptz NOT NULL,
    kroner   bigint      NOT NULL CHECK (kroner >= 0),
    PRIMARY KEY (case_no, order_id)
);
COMMENT ON TABLE limited_orders IS 'Kroner that an order of a source with a limit pays more than was paid before, and the hour of the clock in which it counts; orders that are held for the limit do not.';

-- Programs from before this count without saying which order it was; a day later none of them runs any more.
CREATE TABLE source_hours_proved (
    only_row  boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    from_hour timestamptz NOT NULL
);
COMMENT ON TABLE source_hours_proved IS 'From which hour on what sources used of their limits is the sum of their orders.';
INSERT INTO source_hours_proved (from_hour)
SELECT CASE WHEN EXISTS (SELECT FROM source_hours) THEN now() + interval '1 day' ELSE 'epoch' END;

-- Failures are what the contracts say has failed: also a payment that the rail has refused, and a simulation that came to nothing.
CREATE OR REPLACE VIEW kvitt_views.failure_texts AS
SELECT m.message_no, m.case_no, m.scheme, m.source, m.received_at, d.application,
       coalesce(d.refused_text,
                substring(convert_from(m.answer, 'UTF8') FROM '"(?:msg|beskrivelse|feilmelding|text)" *: *"((?:[^"\\]|\\.)*)"'), '') AS text
FROM public.messages AS m
LEFT JOIN LATERAL (
    SELECT c.application, c.outcome, c.refused_text FROM public.decisions AS c WHERE c.message_no = m.message_no OFFSET 0
) AS d ON true
WHERE d.outcome = 'refused' OR (m.state = 'answered' AND (position('"status":"FEIL'::bytea IN m.answer) > 0
                                                          OR position('"status":"AVVIST"'::bytea IN m.answer) > 0
                                                          OR position('"status":"FUNKSJONELL_FEIL"'::bytea IN m.answer) > 0
                                                          OR position('"status":"TEKNISK_FEIL"'::bytea IN m.answer) > 0
                                                          OR position('"status":"OPPDRAG_UR_ER_STENGT"'::bytea IN m.answer) > 0));
