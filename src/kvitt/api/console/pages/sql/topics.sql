-- name: partitions
-- The partitions of the embedded log, each with the position of its next record.
SELECT topic, partition, next_position FROM kvitt_views.topic_partitions ORDER BY topic, partition LIMIT %(limit)s;

-- name: records
-- Records of a partition before a position, newest first.
SELECT topic, partition, position, at, key, octet_length(value) AS size
FROM kvitt_views.record_texts WHERE topic = %(topic)s AND partition = %(partition)s AND position < %(before)s
ORDER BY position DESC
LIMIT %(limit)s;

-- name: record
-- One record with its bytes.
SELECT topic, partition, position, at, key, headers, value
FROM kvitt_views.record_texts WHERE topic = %(topic)s AND partition = %(partition)s AND position = %(position)s;

-- name: next_position
-- How far a partition goes.
SELECT next_position FROM kvitt_views.topic_partitions WHERE topic = %(topic)s AND partition = %(partition)s;
