-- What is not relayed yet is a few rows of numbers, and where a record of the outbox stands in the embedded log is a narrow row of the log: no
-- record of the outbox is copied, or written anew, to be published. What was published before keeps its copy, and its place in the outbox.

CREATE TABLE unrelayed (
    first_no bigint   PRIMARY KEY,
    numbers  bigint[] NOT NULL CHECK (first_no = numbers[1])
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 50);
COMMENT ON TABLE unrelayed IS 'The numbers of records of the outbox that are not published yet, rising, some in a row; written with them.';

CREATE FUNCTION note_unrelayed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.unrelayed (first_no, numbers)
    SELECT min(n.outbox_no), array_agg(n.outbox_no ORDER BY n.outbox_no)
    FROM (SELECT outbox_no, (row_number() OVER (ORDER BY outbox_no) - 1) / 500 AS piece FROM added WHERE relayed_at IS NULL) AS n
    GROUP BY n.piece;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_unrelayed AFTER INSERT ON outbox REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION note_unrelayed();

INSERT INTO unrelayed (first_no, numbers)
SELECT min(n.outbox_no), array_agg(n.outbox_no ORDER BY n.outbox_no)
FROM (SELECT outbox_no, (row_number() OVER (ORDER BY outbox_no) - 1) / 500 AS piece FROM outbox WHERE relayed_at IS NULL) AS n
GROUP BY n.piece;
DROP INDEX outbox_unrelayed;

ALTER TABLE log_records RENAME TO log_entries;
ALTER INDEX log_records_pkey RENAME TO log_entries_pkey;
ALTER TABLE log_entries ADD COLUMN outbox_no bigint;
ALTER TABLE log_entries ADD CONSTRAINT log_entries_of_outbox_have_no_bytes
    CHECK (outbox_no IS NULL OR (key IS NULL AND value IS NULL AND headers = '[]')) NOT VALID;
CREATE UNIQUE INDEX log_entries_of_outbox ON log_entries (outbox_no) WHERE outbox_no IS NOT NULL;
COMMENT ON TABLE log_entries IS 'The embedded log: topics as a table. Appending locks the partition row, so positions become visible in order.';
COMMENT ON COLUMN log_entries.outbox_no IS 'The record of the outbox that stands here, which has the bytes; empty for what came from others, and what was copied once.';

-- The headers that every record has come last: its event, when it was written, the time of the stream, which is the same, and when it was
-- published. They are put in byte by byte, because headers of senders may hold what jsonb does not take.
CREATE VIEW log_records AS
SELECT e.topic, e.partition, e.position, e.at, coalesce(e.key, o.key) AS key, coalesce(e.value, o.value, d.message) AS value,
       CASE WHEN o.outbox_no IS NULL THEN e.headers ELSE
           substr(o.headers, 1, octet_length(o.headers) - 1) || convert_to(
               CASE WHEN o.headers = '[]' THEN '' ELSE ',' END
               || format('["event-id","%s"],["x-ts","%s"],["x-st","%s"],["x-sy","%s"]]', o.event_id, t.made_ms, t.made_ms, t.told_ms), 'UTF8')
       END AS headers, e.log_no, e.outbox_no
FROM log_entries AS e
LEFT JOIN outbox AS o ON o.outbox_no = e.outbox_no
LEFT JOIN orders AS d ON o.value IS NULL AND d.order_id = o.order_id
CROSS JOIN LATERAL (
    SELECT floor(extract(epoch FROM o.made_at) * 1000)::bigint, floor(extract(epoch FROM e.at) * 1000)::bigint
) AS t (made_ms, told_ms);
COMMENT ON VIEW log_records IS 'The records of the embedded log with their bytes; those of the outbox are taken from there.';

CREATE VIEW unpublished AS
SELECT o.* FROM unrelayed AS u CROSS JOIN LATERAL unnest(u.numbers) AS n (outbox_no) JOIN outbox AS o ON o.outbox_no = n.outbox_no;
COMMENT ON VIEW unpublished IS 'The records of the outbox that are not published yet.';

CREATE VIEW outbox_places AS
SELECT o.outbox_no, coalesce(e.at, o.relayed_at) AS relayed_at, coalesce(e.partition, o.partition) AS partition,
       coalesce(e.position, o.position) AS position
FROM outbox AS o LEFT JOIN log_entries AS e ON e.outbox_no = o.outbox_no;
COMMENT ON VIEW outbox_places IS 'Where and when records of the outbox were published; empty for those that are not yet.';

CREATE OR REPLACE VIEW kvitt_views.published AS
SELECT x.outbox_no, x.topic, c.scheme, c.case_id, x.message_no, x.order_id, x.payment_id, x.version, x.made_at,
       coalesce(e.at, x.relayed_at) AS relayed_at, coalesce(e.partition, x.partition) AS partition, coalesce(e.position, x.position) AS position,
       x.event_id, octet_length(coalesce(x.value, o.message)) AS size
FROM public.outbox AS x
LEFT JOIN public.log_entries AS e ON e.outbox_no = x.outbox_no
LEFT JOIN public.messages AS m ON m.message_no = x.message_no
LEFT JOIN public.cases AS c ON c.case_no = coalesce(x.case_no, m.case_no)
LEFT JOIN public.orders AS o ON o.order_id = x.order_id;

CREATE OR REPLACE VIEW kvitt_views.record_texts AS
SELECT r.topic, r.partition, r.position, r.at, r.key, r.headers, r.value FROM public.log_records AS r;

CREATE OR REPLACE VIEW kvitt_views.backlogs AS
SELECT b.what, count(b.at)::integer AS rows, count(b.at) > 1000 AS is_at_least, min(b.at) AS oldest
FROM (
    SELECT 'published' AS what, o.made_at AS at
    FROM (
        SELECT n.outbox_no
        FROM (SELECT u.numbers FROM public.unrelayed AS u ORDER BY u.first_no LIMIT 1001) AS w CROSS JOIN LATERAL unnest(w.numbers) AS n (outbox_no)
        LIMIT 1001
    ) AS x
    CROSS JOIN LATERAL (SELECT q.made_at FROM public.outbox AS q WHERE q.outbox_no = x.outbox_no OFFSET 0) AS o
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

-- Publishing changes what waits to be published, and not the outbox.
DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW kvitt_views.changes AS ' || replace(
        pg_get_viewdef('kvitt_views.changes'::regclass), $was$('published'::text,'outbox'::regclass)$was$,
        $is$('published'::text,'public.outbox'::regclass), ('published'::text,'public.unrelayed'::regclass)$is$);
    ASSERT pg_get_viewdef('kvitt_views.changes'::regclass) LIKE '%unrelayed%', 'pages hear of what is published';
END
$$;
