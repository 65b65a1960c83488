-- Messages by the hour: those that are counted, and the first 5,000 that are not; whether there are more is said beside.

CREATE OR REPLACE VIEW kvitt_views.message_hours AS
SELECT u.scheme, u.hour, sum(u.messages)::bigint AS messages
FROM (
    SELECT h.scheme, h.hour, h.messages FROM public.message_hours AS h
    UNION ALL
    SELECT n.scheme, date_trunc('hour', n.received_at, 'UTC'), 1
    FROM (SELECT m.scheme, m.received_at, m.dry_run
          FROM public.messages AS m
          WHERE m.message_no > (SELECT c.counted_to FROM public.counted_messages AS c)
          ORDER BY m.message_no LIMIT 5000) AS n
    WHERE NOT n.dry_run
) AS u
GROUP BY u.scheme, u.hour;

CREATE VIEW kvitt_views.messages_counted AS
SELECT c.counted_to, nullif(c.seen_at, 'epoch') AS looked_at,
       EXISTS (SELECT FROM public.messages AS m WHERE m.message_no > c.counted_to ORDER BY m.message_no OFFSET 5000 LIMIT 1) AS is_at_least
FROM public.counted_messages AS c;
