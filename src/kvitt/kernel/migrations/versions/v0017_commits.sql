-- Marks by which it is found out whether a transaction was committed when its connection ended during COMMIT.

CREATE TABLE commit_markers (
    connection uuid        PRIMARY KEY,
    number     bigint      NOT NULL,
    at         timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20);
COMMENT ON TABLE commit_markers IS 'One row per connection that writes: the number of its latest transaction, written by that transaction itself.';
