-- name: orders
-- Orders behind a place, newest first, of so many that are looked through.
WITH looked AS (
    SELECT order_id, message_no, case_no, scheme, case_id, area, rail, state, is_held, made_at, sent_at, sum_kroner
    FROM kvitt_views.orders
    WHERE (message_no, order_id) < (%(message_no)s, %(order_id)s)
    ORDER BY message_no DESC, order_id DESC
    LIMIT %(looked_through)s
)
SELECT order_id, message_no, case_no, scheme, case_id, area, rail, state, is_held, made_at, sent_at, sum_kroner
FROM looked
WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(area)s::text IS NULL OR area = %(area)s)
  AND (%(scheme)s::text IS NULL OR scheme = %(scheme)s) AND (%(least)s::bigint IS NULL OR sum_kroner >= %(least)s)
ORDER BY message_no DESC, order_id DESC
LIMIT %(limit)s;

-- name: open_orders
-- Orders of an open state behind a place, newest first, of so many that are looked through: at night a day's may wait for their rail. The index
-- of open orders is by rail, so each rail is asked.
WITH RECURSIVE rails AS (
    SELECT min(rail) AS rail FROM kvitt_views.open_sums
    UNION ALL
    SELECT (SELECT min(v.rail) FROM kvitt_views.open_sums AS v WHERE v.rail > r.rail) FROM rails AS r WHERE r.rail IS NOT NULL
), looked AS (
    SELECT o.order_id, o.message_no, o.case_no, o.scheme, o.case_id, o.area, o.rail, o.state, o.is_held, o.made_at, o.sent_at, o.sum_kroner
    FROM rails AS r
    CROSS JOIN LATERAL (
        SELECT order_id, message_no, case_no, scheme, case_id, area, rail, state, is_held, made_at, sent_at, sum_kroner
        FROM kvitt_views.orders
        WHERE rail = r.rail AND state = %(state)s AND state IN ('ready', 'sending', 'sent', 'unknown')
          AND (message_no, order_id) < (%(message_no)s, %(order_id)s)
        ORDER BY message_no DESC, order_id DESC
        LIMIT %(looked_through)s
    ) AS o
    ORDER BY o.message_no DESC, o.order_id DESC
    LIMIT %(looked_through)s
)
SELECT order_id, message_no, case_no, scheme, case_id, area, rail, state, is_held, made_at, sent_at, sum_kroner
FROM looked
WHERE (%(area)s::text IS NULL OR area = %(area)s)
  AND (%(scheme)s::text IS NULL OR scheme = %(scheme)s) AND (%(least)s::bigint IS NULL OR sum_kroner >= %(least)s)
ORDER BY message_no DESC, order_id DESC
LIMIT %(limit)s;

-- name: held_orders
-- Orders of an open state that a person holds, behind a place, newest first: those are few, and have an index of their own.
SELECT order_id, message_no, case_no, scheme, case_id, area, rail, state, is_held, made_at, sent_at, sum_kroner
FROM kvitt_views.orders
WHERE state = %(state)s AND state IN ('ready', 'sending', 'sent', 'unknown') AND (message_no, order_id) < (%(message_no)s, %(order_id)s)
  AND is_held
  AND (NOT %(twice)s OR held_for @? '$[*].kind ? (@ == "paid_twice" || @ == "equal_line" || @ == "paid_elsewhere")')
  AND (%(area)s::text IS NULL OR area = %(area)s)
  AND (%(scheme)s::text IS NULL OR scheme = %(scheme)s) AND (%(least)s::bigint IS NULL OR sum_kroner >= %(least)s)
ORDER BY message_no DESC, order_id DESC
LIMIT %(limit)s;

-- name: end_of_look
-- The last order that was looked through, if there are more behind it.
SELECT order_id, message_no, case_no, scheme, case_id, area, rail, state, is_held, made_at, sent_at, sum_kroner
FROM kvitt_views.orders
WHERE (message_no, order_id) < (%(message_no)s, %(order_id)s)
ORDER BY message_no DESC, order_id DESC
OFFSET %(looked_through)s - 1
LIMIT 1;

-- name: order
-- One order.
SELECT order_id, case_no, scheme, case_id, number, rail, area, state, message_no, is_first_order, day, sum_kroner, lines, is_held, made_at,
       sending_at, sent_at, settled_at, resends, was_unknown, decided_by_hand, taken_back, receipt_no, rail_says
FROM kvitt_views.orders WHERE order_id = %(order_id)s;

-- name: lines
-- Its lines.
SELECT position, line_id, refers_to, payment_id, class_code, start_on, end_on, amount_kroner, rate_type, ceased_from, decision_id,
       caseworker, approver
FROM kvitt_views.order_lines WHERE order_id = %(order_id)s ORDER BY position LIMIT %(limit)s;

-- name: reasons
-- Why it is held, while it is open. The order is found by its id: beside its state the index of open orders looks smaller than it may be by now.
SELECT r.reason ->> 'kind' AS kind, r.reason ->> 'text' AS text
FROM (SELECT state, held_for FROM kvitt_views.orders WHERE order_id = %(order_id)s OFFSET 0) AS o
CROSS JOIN LATERAL jsonb_array_elements(o.held_for) WITH ORDINALITY AS r (reason, place)
WHERE o.state IN ('ready', 'sending', 'sent', 'unknown')
ORDER BY r.place;

-- name: receipts
-- What the rail said about it.
SELECT receipt_no, received_at, severity, code, note, outcome
FROM kvitt_views.receipts WHERE order_id = %(order_id)s ORDER BY receipt_no;

-- name: cancellations
-- The requests to cancel it, oldest first.
SELECT asked_at, state, sent_at, answered_at, receipt_no, reason
FROM kvitt_views.cancellations WHERE order_id = %(order_id)s ORDER BY number;

-- name: order_text
-- Its bytes.
SELECT message FROM kvitt_views.order_texts WHERE order_id = %(order_id)s;

-- name: order_version
-- Whether anything about an order has changed.
SELECT o.state, o.is_held, (SELECT max(r.receipt_no) FROM kvitt_views.receipts AS r WHERE r.order_id = o.order_id) AS receipt_no,
       (SELECT max(a.seq) FROM kvitt_views.audit_entries AS a WHERE a.chain = o.case_no) AS seq,
       (SELECT k.number || k.state FROM kvitt_views.cancellations AS k WHERE k.order_id = o.order_id ORDER BY k.number DESC LIMIT 1) AS cancellation
FROM kvitt_views.orders AS o WHERE o.order_id = %(order_id)s;

-- name: exempts
-- Whether the release of an order lets cases pay the same days.
SELECT EXISTS (SELECT FROM kvitt_views.exempt_pairs WHERE order_id = %(order_id)s);

-- name: exempt_pairs
-- Cases that hold no orders of each other for a class code, behind a place.
SELECT case_no, scheme, case_id, other_case_no, other_scheme, other_case_id, class_code, order_id
FROM kvitt_views.exempt_pairs
WHERE (case_no, other_case_no, class_code) > (%(case_no)s, %(other_case_no)s, %(class_code)s)
ORDER BY case_no, other_case_no, class_code
LIMIT %(limit)s;
