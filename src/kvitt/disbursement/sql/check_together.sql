-- What only all rows together can show to `kvitt check`: rows of nothing, and what is there twice. Each returns the number of a case or null,
-- an id, and what is wrong.

-- name: messages_of_no_case
-- Messages of cases that are not there.
SELECT m.case_no, m.message_no::text, 'belongs to a case that is not there'
FROM messages AS m WHERE m.case_no IS NOT NULL AND NOT EXISTS (SELECT FROM cases AS c WHERE c.case_no = m.case_no);

-- name: orders_of_no_case
-- Orders of cases that are not there.
SELECT o.case_no, o.order_id::text, 'belongs to a case that is not there'
FROM orders AS o WHERE NOT EXISTS (SELECT FROM cases AS c WHERE c.case_no = o.case_no);

-- name: orders_of_no_message
-- Orders of messages that are not there, or that belong to another case.
SELECT o.case_no, o.order_id::text, 'was made by a message that its case does not have'
FROM orders AS o
WHERE NOT EXISTS (SELECT FROM messages AS m WHERE m.message_no = o.message_no AND m.case_no = o.case_no);

-- name: orders_without_lines
-- Orders of which every line is gone; those that never had any have no sum.
SELECT o.case_no, o.order_id::text, 'has no lines'
FROM orders AS o WHERE o.sum_kroner <> 0 AND NOT EXISTS (SELECT FROM order_lines AS l WHERE l.order_id = o.order_id);

-- name: orders_without_receipt
-- Orders settled by receipts that are not there.
SELECT o.case_no, o.order_id::text, 'was settled by a receipt that is not there'
FROM orders AS o
WHERE o.receipt_no IS NOT NULL AND NOT EXISTS (SELECT FROM receipts AS r WHERE r.receipt_no = o.receipt_no AND r.order_id = o.order_id);

-- name: lines_of_no_order
-- Lines of orders that are not there.
SELECT NULL::bigint, l.line_id, 'is a line of an order that is not there'
FROM order_lines AS l WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = l.order_id);

-- name: payments_of_no_order
-- Payment versions of orders that are not there, or that belong to another case; the first ones of a case that was taken over are of
-- an order before our time.
SELECT p.case_no, p.payment_id || ' version ' || p.version, 'was made by an order that its case does not have'
FROM payments AS p
WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = p.order_id AND o.case_no = p.case_no)
  AND NOT (p.version = 0 AND EXISTS (SELECT FROM audit AS a WHERE a.chain = p.case_no AND a.what = 'imported'))
  AND NOT EXISTS (SELECT FROM moved_payments AS m WHERE m.case_no = p.case_no AND m.moved_to = p.payment_id AND m.version = p.version);

-- name: moves_not_as_noted
-- Payments that are said to have been moved, where their case's history does not say so.
SELECT m.case_no, m.payment_id::text, 'was moved to another id, and the history of its case has it otherwise'
FROM moved_payments AS m
WHERE NOT EXISTS (
    SELECT FROM audit AS a
    WHERE a.chain = m.case_no AND a.what = 'migrated'
      AND a.note::jsonb -> 'moves' @> jsonb_build_array(jsonb_build_object('payment_id', m.payment_id, 'to', m.moved_to))
);

-- name: imports_not_as_noted
-- How much imports took over, where it is not what is there: a case that nothing has happened to since is known by nothing else.
SELECT NULL::bigint, 'imports',
       format('took over %%s cases with %%s payments, where %%s cases with %%s are there', n.cases, n.payments, t.cases, t.payments)
FROM (
    SELECT coalesce(sum(w.noted[1]::bigint), 0) AS cases, coalesce(sum(w.noted[2]::bigint), 0) AS payments
    FROM audit AS a
    CROSS JOIN LATERAL regexp_match(a.note, '"subject":"(\d+) cases, (\d+) payments"') AS w (noted)
    WHERE a.chain = 0 AND a.what = 'imported'
) AS n
CROSS JOIN (
    SELECT (SELECT count(*) FROM audit WHERE chain <> 0 AND what = 'imported') AS cases,
           (SELECT count(*) FROM payments WHERE version = 0) AS payments
) AS t
WHERE (n.cases, n.payments) <> (t.cases, t.payments);

-- name: receipts_of_no_order
-- Receipts of orders that are not there.
SELECT NULL::bigint, r.receipt_no::text, 'answers an order that is not there'
FROM receipts AS r WHERE r.order_id IS NOT NULL AND NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = r.order_id);

-- name: published_of_no_message
-- What is published about messages that are not there.
SELECT o.case_no, o.outbox_no::text, 'is published about a message that is not there'
FROM outbox AS o
WHERE NOT EXISTS (SELECT FROM messages AS m WHERE m.message_no = o.message_no)
  AND NOT (o.message_no IS NULL AND o.topic = ANY (%(of_no_message)s::text[]))
  AND NOT (o.message_no IS NULL AND EXISTS (SELECT FROM moved_payments AS v WHERE v.case_no = o.case_no));

-- name: audit_of_no_case
-- Audit entries of cases that are not there.
SELECT a.chain, a.seq::text, 'is an entry about a case that is not there'
FROM audit AS a WHERE a.chain <> 0 AND NOT EXISTS (SELECT FROM cases AS c WHERE c.case_no = a.chain);

-- name: dead_letters_of_no_message
-- Dead letters whose message is not there, or came with other bytes or under another edge identity.
SELECT NULL::bigint, d.dead_no::text, 'is not the message that it names'
FROM dead_letters AS d
WHERE d.message_no IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM messages AS m
      WHERE m.message_no = d.message_no AND m.body = d.body AND (m.source, m.partition, m.position) = (d.source, d.partition, d.position)
  );

-- name: doubled_lines
-- Line ids that were made more than once; the rail would take the second for the first. Numbered ones are looked at by payment: those of
-- two cases may be equal, where two schemes call their cases alike.
SELECT NULL::bigint, line_id, 'was made ' || count(*) || ' times'
FROM order_lines WHERE ceased_from IS NULL AND NOT forwarded
GROUP BY line_id, CASE WHEN line_id LIKE '%%#%%' THEN payment_id END HAVING count(*) > 1;

-- name: doubled_events
-- Event ids that stand in the outbox more than once; whoever drops repeats would lose what the second one says.
SELECT min(case_no), event_id::text, 'is published ' || count(*) || ' times'
FROM outbox GROUP BY event_id HAVING count(*) > 1;

-- name: log_differences
-- Records of the embedded log that are not what the outbox published there; records that the log has let go are passed by. Behind the
-- headers that were published stand exactly the four that every record has. One that has no bytes of its own stands under the topic of its
-- record of the outbox.
SELECT o.case_no, o.outbox_no::text, 'is published otherwise in the log'
FROM outbox AS o
JOIN log_records AS r ON (r.topic, r.partition, r.position) = (o.topic, o.partition, o.position)
CROSS JOIN LATERAL (
    SELECT floor(extract(epoch FROM o.made_at) * 1000)::bigint, floor(extract(epoch FROM r.at) * 1000)::bigint
) AS t (made_ms, told_ms)
LEFT JOIN orders AS d ON o.value IS NULL AND d.order_id = o.order_id
WHERE o.relayed_at IS NOT NULL
  AND (r.key, r.value, r.headers) IS DISTINCT FROM (
      o.key, coalesce(o.value, d.message),
      substr(o.headers, 1, octet_length(o.headers) - 1) || convert_to(
          CASE WHEN o.headers = '[]' THEN '' ELSE ',' END
          || format('["event-id","%%s"],["x-ts","%%s"],["x-st","%%s"],["x-sy","%%s"]]', o.event_id, t.made_ms, t.made_ms, t.told_ms), 'UTF8')
  )
UNION ALL
SELECT o.case_no, o.outbox_no::text, 'is published otherwise in the log'
FROM outbox AS o JOIN log_entries AS e ON e.outbox_no = o.outbox_no
WHERE e.topic <> o.topic OR o.relayed_at IS NOT NULL;

-- name: log_of_nothing
-- Records of the embedded log on topics where only the hub publishes, that no record of the outbox stands for.
SELECT NULL::bigint, r.topic || '/' || r.partition || '/' || r.position, 'stands in the log, and nothing has published it'
FROM log_entries AS r
WHERE (r.topic = ANY (%(outputs)s::text[]) OR r.outbox_no IS NOT NULL)
  AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.outbox_no = r.outbox_no)
  AND NOT EXISTS (
      SELECT FROM outbox AS o
      WHERE o.relayed_at IS NOT NULL AND (o.topic, o.partition, o.position) = (r.topic, r.partition, r.position)
  );

-- name: doubled_places
-- Places in topics that more than one record of the outbox claims.
SELECT NULL::bigint, o.topic || '/' || p.partition || '/' || p.position, 'is the place of ' || count(*) || ' records'
FROM outbox AS o JOIN outbox_places AS p ON p.outbox_no = o.outbox_no
WHERE p.position IS NOT NULL GROUP BY o.topic, p.partition, p.position HAVING count(*) > 1;

-- name: forgotten_records
-- Records of the outbox that are not published, and do not wait for it; and published ones that wait to be published again.
SELECT o.case_no, o.outbox_no::text, CASE WHEN p.relayed_at IS NULL THEN 'is not published, and does not wait for it'
                                          ELSE 'is published, and waits to be published again' END
FROM outbox AS o
JOIN outbox_places AS p ON p.outbox_no = o.outbox_no
LEFT JOIN (SELECT n.outbox_no FROM unrelayed AS u CROSS JOIN LATERAL unnest(u.numbers) AS n (outbox_no)) AS w ON w.outbox_no = o.outbox_no
WHERE (p.relayed_at IS NULL) = (w.outbox_no IS NULL);

-- name: decisions_of_no_message
-- What is noted as come in by a call, and is no message, or one of another case.
SELECT d.case_no, d.message_no::text, 'is noted as a call, and is no message of its case'
FROM decisions AS d
WHERE NOT EXISTS (SELECT FROM messages AS m WHERE m.message_no = d.message_no AND m.case_no IS NOT DISTINCT FROM d.case_no);

-- name: idempotency_of_no_message
-- Idempotency records whose message is not there, or is of another case.
SELECT n.case_no, n.message_no::text, 'has an idempotency record, and its case does not have it'
FROM idempotency_records AS n WHERE NOT EXISTS (SELECT FROM messages AS m WHERE m.message_no = n.message_no AND m.case_no = n.case_no);

-- name: copies_of_no_receipt
-- Copies of receipts that never came.
SELECT NULL::bigint, o.outbox_no::text, 'copies a receipt that is not there'
FROM outbox AS o
WHERE o.message_no IS NULL AND o.topic = ANY (%(copies)s::text[])
  AND NOT EXISTS (SELECT FROM receipts AS r WHERE md5(r.message_id || ' ' || encode(r.digest, 'hex'))::uuid = o.event_id)
  AND NOT EXISTS (SELECT FROM reconciliation_runs AS n WHERE n.run_id = o.event_id);

-- name: receipts_without_copy
-- Receipts whose contract copies them, and that were not copied.
SELECT o.case_no, r.receipt_no::text, 'was not copied as it came'
FROM orders AS o
JOIN messages AS m ON m.message_no = o.message_no
JOIN receipts AS r ON r.order_id = o.order_id
WHERE m.source = ANY (%(copied)s::text[])
  AND NOT EXISTS (
      SELECT FROM outbox AS q WHERE q.message_no IS NULL AND q.event_id = md5(r.message_id || ' ' || encode(r.digest, 'hex'))::uuid
  );
