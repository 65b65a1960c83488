-- Messages counted by scheme and hour, by a job and not as they come in; what it has not counted yet is counted when it is asked for.

CREATE TABLE message_hours (
    scheme   text        NOT NULL,
    hour     timestamptz NOT NULL,
    messages bigint      NOT NULL,
    PRIMARY KEY (hour, scheme)
);
COMMENT ON TABLE message_hours IS 'How many messages came in within each hour, those that were only tried out left out.';

CREATE TABLE counted_messages (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    counted_to bigint      NOT NULL,
    -- The newest number there was at that moment: a minute later none below it is still to come.
    seen_to    bigint      NOT NULL,
    seen_at    timestamptz NOT NULL
);
COMMENT ON TABLE counted_messages IS 'Up to which message those of an hour are counted.';
INSERT INTO counted_messages (counted_to, seen_to, seen_at) VALUES (0, 0, 'epoch');

CREATE VIEW kvitt_views.message_hours AS
SELECT u.scheme, u.hour, sum(u.messages)::bigint AS messages
FROM (
    SELECT h.scheme, h.hour, h.messages FROM public.message_hours AS h
    UNION ALL
    SELECT n.scheme, date_trunc('hour', n.received_at, 'UTC'), 1
    FROM (SELECT m.scheme, m.received_at, m.dry_run
          FROM public.messages AS m
          WHERE m.message_no > (SELECT c.counted_to FROM public.counted_messages AS c)
          ORDER BY m.message_no LIMIT 50000) AS n
    WHERE NOT n.dry_run
) AS u
GROUP BY u.scheme, u.hour;
