-- What tests look at.

-- name: published
-- The records that the hub itself has published on a topic, in the order in which it did, under one key if that is given; what others
-- have put there is left out.
SELECT r.topic, r.partition, r.position, r.at, r.key, r.value, r.headers
FROM log_records AS r
WHERE r.topic = %(topic)b AND (%(key)b::bytea IS NULL OR r.key = %(key)b)
  AND EXISTS (SELECT FROM outbox AS o WHERE o.topic = r.topic AND o.partition = r.partition AND o.position = r.position)
ORDER BY r.log_no;
