-- Notes on cases; and what is known of how an order was sent, by which people find out where it is.

CREATE TABLE console.case_notes (
    note_no    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_no    bigint      NOT NULL,
    order_id   uuid,
    written_at timestamptz NOT NULL,
    issuer     text        NOT NULL,
    person     text        NOT NULL,
    name       text        NOT NULL,
    text       text        NOT NULL CHECK (length(text) BETWEEN 1 AND 1000)
);
CREATE INDEX case_notes_of_case ON console.case_notes (case_no, note_no);
COMMENT ON TABLE console.case_notes IS 'Words that people leave each other on a case: who is on it, what the rail said on the phone. No act, and of no chain.';

CREATE VIEW kvitt_views.note_texts AS
SELECT n.note_no, n.case_no, c.scheme, c.case_id, n.order_id, n.written_at, n.person AS written_by, n.name, n.text
FROM console.case_notes AS n JOIN public.cases AS c ON c.case_no = n.case_no;
COMMENT ON VIEW kvitt_views.note_texts IS 'Notes of people on cases: may be personal data.';

-- By whom and when an order was put: `sender` is the attempt that had it.
CREATE VIEW kvitt_views.order_sendings AS
SELECT o.order_id, o.sender, o.sending_at, o.sent_at, o.resends, o.key_day, o.was_unknown FROM public.orders AS o;

-- The queue that is a table, and what came back too often from it; a broker's is not here.
CREATE VIEW kvitt_views.queue_messages AS
SELECT m.queue, m.message_id, m.put_at, m.consumed_at, m.deliveries, m.queue LIKE '%.dlq' AS is_dead FROM queue.message AS m;

-- The names of these queues, found by stepping through the index from one to the next.
CREATE VIEW kvitt_views.queues AS
WITH RECURSIVE names AS (
    SELECT min(m.queue) AS queue FROM queue.message AS m WHERE m.queue > ''
    UNION ALL
    SELECT (SELECT min(m.queue) FROM queue.message AS m WHERE m.queue > n.queue) FROM names AS n WHERE n.queue IS NOT NULL
)
SELECT n.queue FROM names AS n WHERE n.queue IS NOT NULL;
