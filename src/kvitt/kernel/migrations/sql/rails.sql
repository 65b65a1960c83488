-- name: document_orders
-- Gives orders of the state rail, in a span of ids after one, what it keeps of them, read from their messages; gives the last id of the
-- span, NULL behind the end, and how many orders there were.
WITH span AS MATERIALIZED (
    SELECT order_id, encode(message, 'escape') AS message FROM orders
    WHERE order_id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY order_id LIMIT %(batch)s
), documented AS (
    UPDATE orders AS o
    SET rail_document = (
        '{"frequency":"' || w.frequency || '"'
        || coalesce(',"hold_back":{"start":"' || w.held_from || '","end":"' || w.held_to || '"'
                    || coalesce(',"transferred_on":"' || w.transferred_on || '"', '') || coalesce(',"cause":"' || w.cause || '"', '')
                    || CASE WHEN w.by_mistake THEN ',"by_mistake":true' ELSE '' END || '}', '')
        || '}'
    )::json
    FROM (
        SELECT s.order_id, substring(s.message FROM '<utbetFrekvens>([^<]*)<') AS frequency,
               substring(s.message FROM '<datoAvventFom>(.{10})') AS held_from, substring(s.message FROM '<datoAvventTom>(.{10})') AS held_to,
               substring(s.message FROM '<datoOverfores>(.{10})') AS transferred_on, substring(s.message FROM '<kodeArsak>([^<]*)<') AS cause,
               s.message LIKE '%%<feilreg>J<%%' AS by_mistake
        FROM span AS s
    ) AS w
    WHERE o.order_id = w.order_id AND o.rail = 'oppdrag' AND o.rail_document::text = '{}' AND w.frequency IS NOT NULL
    RETURNING o.order_id
)
SELECT (SELECT max(order_id::text) FROM span) AS after, (SELECT count(*) FROM documented) AS rows;
