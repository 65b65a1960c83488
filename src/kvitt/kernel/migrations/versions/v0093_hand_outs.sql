-- A hand-out of messages of a queue is a row, and no message is written anew to count it: that is done for those that come back.

CREATE TABLE queue.hand_out (
    queue       text    NOT NULL,
    hand_out_no bigint  GENERATED ALWAYS AS IDENTITY,
    sequences   bigint[] NOT NULL,
    PRIMARY KEY (queue, hand_out_no)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 50);
COMMENT ON TABLE queue.hand_out IS 'Which messages are handed out: locked by their consumer, or else come back, and to be counted.';
COMMENT ON COLUMN queue.message.deliveries IS 'How often it was handed out, without hand-outs that have a row of their own.';

CREATE OR REPLACE VIEW kvitt_views.queue_messages AS
SELECT m.queue, m.message_id, m.put_at, m.consumed_at,
       m.deliveries + (SELECT count(*) FROM queue.hand_out AS h WHERE h.queue = m.queue AND m.sequence = ANY (h.sequences))::integer AS deliveries,
       m.queue LIKE '%.dlq' AS is_dead
FROM queue.message AS m;

-- What lies in a queue is written once, read once, and gone: without lz4 packing it costs more than all else that is done with it.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE queue.message SET (toast_tuple_target = 8160), ALTER COLUMN body SET '
        || CASE WHEN (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression')
                THEN 'COMPRESSION lz4' ELSE 'STORAGE EXTERNAL' END;
END $$;
