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

-- name: own_cases
-- Gives cases to the contract whose messages opened them, or from whose hub they were taken over, in a span of cases after a number;
-- gives the last number of the span, NULL behind the end, and how many cases there were.
WITH span AS (
    SELECT max(case_no) AS last FROM (
        SELECT case_no FROM cases WHERE case_no > coalesce(%(after)s::bigint, 0) ORDER BY case_no LIMIT %(batch)s
    ) AS s
), owned AS (
    UPDATE cases AS c SET contract = CASE c.scheme WHEN 'SYKEPENGER' THEN 'rapid' ELSE 'helved' END
    FROM span
    WHERE c.case_no > coalesce(%(after)s::bigint, 0) AND c.case_no <= span.last AND c.contract IS NULL AND (
        c.orders_made > 0
        OR EXISTS (SELECT FROM audit AS a WHERE a.chain = c.case_no AND a.seq = 1 AND a.what IN ('imported', 'left out'))
    )
    RETURNING c.case_no
)
SELECT last::text AS after, (SELECT count(*) FROM owned) AS rows FROM span;

-- name: fill_in_persons
-- Gives the next cases the person of their newest order, or, without orders, the one that the rail knows them by.
WITH span AS (
    SELECT case_no FROM cases WHERE case_no > coalesce(%(after)s::text, '0')::bigint ORDER BY case_no LIMIT %(batch)s
), filled AS (
    UPDATE cases AS c
    SET ordered_for = coalesce((SELECT o.person FROM orders AS o WHERE o.case_no = c.case_no ORDER BY o.number DESC LIMIT 1), c.person)
    FROM span
    WHERE c.case_no = span.case_no AND c.ordered_for IS NULL
    RETURNING c.case_no
)
SELECT (SELECT max(case_no)::text FROM span) AS after, (SELECT count(*) FROM filled)::integer AS rows;
