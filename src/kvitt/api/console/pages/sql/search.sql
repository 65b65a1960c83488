-- name: search
-- All that has such an id, or begins with it, so many of each kind: kind, name, and the path of its page, which holds no person; one that ends with
-- = wants the name. The order is that of the indexes by beginnings.
(SELECT 'case' AS kind, c.scheme || ' ' || c.case_id AS name, '/cases/' || c.case_no AS path
 FROM kvitt_views.cases AS c WHERE c.case_id LIKE %(beginning)s ORDER BY c.case_id USING ~<~ LIMIT %(limit)s)
UNION ALL
(SELECT 'case of the person', c.scheme || ' ' || c.case_id, '/cases/' || c.case_no
 FROM kvitt_views.persons AS p JOIN kvitt_views.cases AS c ON c.case_no = p.case_no
 WHERE p.ordered_for = %(person)s::text AND NOT c.case_id LIKE %(beginning)s ORDER BY c.last_at DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'order', o.order_id::text, '/orders/' || o.order_id
 FROM kvitt_views.orders AS o WHERE o.order_id BETWEEN %(low)s::uuid AND %(high)s::uuid ORDER BY o.order_id LIMIT %(limit)s)
UNION ALL
(SELECT DISTINCT 'payment', p.payment_id::text, '/cases/' || p.case_no
 FROM kvitt_views.payments_by_id AS p WHERE p.payment_id BETWEEN %(low)s::uuid AND %(high)s::uuid LIMIT %(limit)s)
UNION ALL
(SELECT 'line', l.line_id, '/orders/' || l.order_id
 FROM kvitt_views.lines_by_id AS l WHERE l.line_id LIKE %(beginning)s ORDER BY l.line_id USING ~<~ LIMIT %(limit)s)
UNION ALL
(SELECT DISTINCT 'line', l.line_id, '/orders/' || l.order_id
 FROM kvitt_views.cases AS c
 JOIN kvitt_views.orders AS o ON o.case_no = c.case_no
 JOIN kvitt_views.order_lines AS l ON l.order_id = o.order_id
 WHERE c.case_id LIKE %(case_of_line)s::text AND l.line_id LIKE %(beginning)s LIMIT %(limit)s)
UNION ALL
(SELECT 'message', m.message_no::text, '/messages/' || m.message_no FROM kvitt_views.messages AS m WHERE m.message_no = %(number)s::bigint)
UNION ALL
(SELECT 'receipt', r.receipt_no::text, '/receipts/' || r.receipt_no FROM kvitt_views.receipts AS r WHERE r.receipt_no = %(number)s::bigint)
UNION ALL
(SELECT 'dead letter', d.dead_no::text, '/dead-letters/' || d.dead_no
 FROM kvitt_views.dead_letters AS d WHERE d.dead_no = %(number)s::bigint)
UNION ALL
(SELECT 'simulation', s.request_no::text, '/simulations/' || s.request_no
 FROM kvitt_views.simulations AS s WHERE s.request_no = %(number)s::bigint)
UNION ALL
(SELECT 'payout', p.payout_id, '/payouts/one?id='
 FROM kvitt_views.payouts AS p WHERE p.payout_id LIKE %(beginning)s ORDER BY p.payout_id USING ~<~ LIMIT %(limit)s)
UNION ALL
(SELECT 'party', p.party_id, '/parties/one?id='
 FROM kvitt_views.parties AS p WHERE p.party_id LIKE %(beginning)s ORDER BY p.party_id USING ~<~ LIMIT %(limit)s)
UNION ALL
(SELECT 'ledger plan', l.plan_id, '/ledger/plans/one?id=' FROM kvitt_views.ledger_plans AS l WHERE l.plan_id = %(text)s)
UNION ALL
(SELECT 'ledger account', a.account_id::text, '/ledger/accounts/' || a.account_id
 FROM kvitt_views.ledger_accounts AS a WHERE a.account_id = %(number)s::bigint)
UNION ALL
(SELECT 'ledger account', a.account_id || ', ' || a.request_key, '/ledger/accounts/' || a.account_id
 FROM kvitt_views.ledger_accounts AS a WHERE a.request_key LIKE %(beginning)s ORDER BY a.request_key USING ~<~ LIMIT %(limit)s);

-- name: by_index_alone
-- Has this transaction read no table from end to end: the planner thinks that the index of keys lets most of it through, and it lets hardly any.
SET LOCAL enable_seqscan = off;

-- name: messages_of_key
-- Messages that came in under a key, newest first, of so many that have it.
SELECT 'message' AS kind, m.message_no::text AS name, '/messages/' || m.message_no AS path
FROM (SELECT message_no FROM kvitt_views.message_texts WHERE key = convert_to(%(key)s::text, 'UTF8') LIMIT %(messages)s) AS m
ORDER BY m.message_no DESC
LIMIT %(limit)s;
