-- What tests look at.

-- name: published
-- The records that the hub itself has published on a topic, in the order in which it did, under one key if that is given; what others
-- have put there is left out.
SELECT r.topic, r.partition, r.position, r.at, r.key, r.value, r.headers
FROM log_records AS r
WHERE r.topic = %(topic)b AND (%(key)b::bytea IS NULL OR r.key = %(key)b)
  AND r.outbox_no IS NOT NULL
ORDER BY r.log_no;

-- name: orders_of_file
-- The orders that a file to a rail holds, an order alone under its own id.
SELECT o.order_id::text, o.message, o.area, c.case_id, o.person
FROM orders AS o JOIN cases AS c ON c.case_no = o.case_no
WHERE o.file_id = %(file_id)s::uuid OR o.order_id = %(file_id)s::uuid
ORDER BY o.message_no, o.number;
