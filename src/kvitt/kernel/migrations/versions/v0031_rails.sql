-- An order names the rail on which it leaves, and holds what that rail wants to know of it later as a document of the rail's own. Nothing of
-- an order is called by one rail's words any more.

ALTER TABLE orders RENAME COLUMN xml TO message;
ALTER TABLE orders RENAME COLUMN stamp TO correlation_time;
ALTER TABLE orders RENAME COLUMN lines_digest TO correlation_key;
ALTER TABLE orders RENAME COLUMN first TO is_first_order;
ALTER TABLE orders RENAME COLUMN doubtful TO was_unknown;
ALTER TABLE orders ADD COLUMN rail text NOT NULL DEFAULT 'oppdrag';
ALTER TABLE orders ADD COLUMN rail_document json NOT NULL DEFAULT '{}';
ALTER TABLE orders ADD COLUMN file_id uuid;
COMMENT ON TABLE orders IS 'What goes to a rail, as the exact bytes; the state says how far it has come.';
COMMENT ON COLUMN orders.message IS 'The bytes that leave, and leave again: they are never made anew.';
COMMENT ON COLUMN orders.correlation_key IS 'By this, with its case and area, the rail''s answer finds the order.';
COMMENT ON COLUMN orders.correlation_time IS 'The time that the rail''s answer carries; it tells apart orders with one correlation key.';
COMMENT ON COLUMN orders.rail_document IS 'What the rail wants to know of the order later without reading the message again, in its own words.';
COMMENT ON COLUMN orders.file_id IS 'The transport message that it shares with other orders; null: it leaves alone, under its own id.';
COMMENT ON COLUMN orders.is_first_order IS 'The rail had accepted nothing of the case in this area when it was made.';

DROP INDEX orders_open;
CREATE INDEX orders_open ON orders (rail, state, message_no) WHERE state IN ('ready', 'sending', 'sent', 'unknown');
CREATE INDEX orders_of_file ON orders (file_id) WHERE file_id IS NOT NULL;

-- Sending is stopped to a rail, to an area, or to an area of one rail.
ALTER TABLE stops ADD COLUMN rail text NOT NULL DEFAULT '*';
ALTER TABLE stops DROP CONSTRAINT stops_pkey;
ALTER TABLE stops ADD PRIMARY KEY (rail, area);
ALTER TABLE stops ALTER COLUMN rail DROP DEFAULT;
COMMENT ON TABLE stops IS 'Rails and areas (or * for all) to which nothing is sent until an operator resumes it.';

-- What a rail says is kept in its own words, each thing that an answer says on a row of its own.
ALTER TABLE receipts RENAME COLUMN grade TO severity;
ALTER TABLE receipts ADD COLUMN rail text NOT NULL DEFAULT 'oppdrag';
ALTER TABLE receipts ADD COLUMN place integer NOT NULL DEFAULT 0;
ALTER TABLE receipts DROP CONSTRAINT receipts_message_id_digest_key;
ALTER TABLE receipts ADD UNIQUE (message_id, digest, place);
ALTER TABLE receipts DROP CONSTRAINT receipts_outcome_check;
ALTER TABLE receipts ADD CONSTRAINT receipts_outcome_check
    CHECK (outcome IN ('accepted', 'rejected', 'unclear', 'settled', 'returned', 'cancelled', 'repeat', 'contradicts', 'unmatched', 'unreadable'));
COMMENT ON COLUMN receipts.severity IS 'How the answer ends, in the rail''s own code.';
COMMENT ON COLUMN receipts.place IS 'Which of the things that an answer says, from 0; the first that was stored in a transaction has the answer''s bytes.';

CREATE VIEW receipt_answers AS
SELECT r.receipt_no, r.rail, r.place,
       CASE WHEN octet_length(r.body) > 0 OR r.place = 0 THEN r.body
            ELSE (SELECT a.body FROM receipts AS a WHERE a.message_id = r.message_id AND a.digest = r.digest AND octet_length(a.body) > 0
                  ORDER BY a.place LIMIT 1)
       END AS body
FROM receipts AS r;
COMMENT ON VIEW receipt_answers IS 'Every receipt with the bytes of the answer that it stands in.';

ALTER TABLE deferred ADD COLUMN rail text;
UPDATE deferred SET rail = 'oppdrag' WHERE message_id IS NOT NULL;
ALTER TABLE deferred ADD CHECK ((rail IS NULL) = (message_id IS NULL));
COMMENT ON COLUMN deferred.rail IS 'The rail that a receipt is of.';
