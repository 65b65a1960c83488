-- The hub's facts. No foreign keys on the hot path: each row is written in the same transaction as what it refers to, none is
-- ever deleted, and `kvitt check` proves the references; a trigger per row would cost a third of the throughput.

CREATE TABLE cases (
    case_no     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scheme      text     NOT NULL,
    case_id     text     NOT NULL CHECK (length(case_id) BETWEEN 1 AND 30),
    person      text,
    areas       text[]   NOT NULL DEFAULT '{}',
    orders_made integer  NOT NULL DEFAULT 0,
    open_orders integer  NOT NULL DEFAULT 0 CHECK (open_orders >= 0),
    waiting     integer  NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    audit_seq   integer  NOT NULL DEFAULT 0,
    audit_hash  bytea    NOT NULL DEFAULT '\x',
    UNIQUE (scheme, case_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE cases IS 'One row per case: the row that is locked, what the rail has accepted of it, and the head of its audit chain.';

CREATE SEQUENCE message_numbers;

CREATE TABLE messages (
    message_no  bigint      PRIMARY KEY,
    source      text        NOT NULL,
    partition   integer     NOT NULL,
    position    bigint      NOT NULL,
    key         bytea       NOT NULL,
    digest      bytea       NOT NULL,
    body        bytea       NOT NULL,
    headers     bytea,
    scheme      text        NOT NULL,
    case_no     bigint,
    dry_run     boolean     NOT NULL,
    state       text        NOT NULL CHECK (state IN ('received', 'waiting', 'derived', 'answered', 'dead')),
    received_at timestamptz NOT NULL,
    derived_at  timestamptz,
    answered_at timestamptz,
    answer      bytea,
    UNIQUE (source, partition, position)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX messages_of_case ON messages (case_no, message_no);
CREATE INDEX messages_waiting ON messages (case_no, message_no) WHERE state = 'waiting';
CREATE INDEX messages_unanswered ON messages (received_at) WHERE state IN ('received', 'waiting', 'derived');
COMMENT ON TABLE messages IS 'The inbox: every record that came in, byte for byte, under the identity its edge gave it, with its final answer.';

CREATE TABLE orders (
    order_id     uuid        PRIMARY KEY,
    case_no      bigint      NOT NULL,
    number       integer     NOT NULL,
    area         text        NOT NULL,
    person       text        NOT NULL,
    message_no   bigint      NOT NULL,
    state        text        NOT NULL
                 CHECK (state IN ('ready', 'sending', 'sent', 'unknown', 'accepted', 'rejected', 'withdrawn')),
    xml          bytea       NOT NULL,
    stamp        text        NOT NULL,
    lines_digest bytea       NOT NULL,
    first        boolean     NOT NULL,
    made_at      timestamptz NOT NULL,
    blocked      text,
    sender       text,
    sending_at   timestamptz,
    sent_at      timestamptz,
    settled_at   timestamptz,
    receipt_no   bigint,
    UNIQUE (case_no, number)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX orders_open ON orders (state, message_no) WHERE state IN ('ready', 'sending', 'sent', 'unknown');
CREATE INDEX orders_of_message ON orders (message_no);
COMMENT ON TABLE orders IS 'What goes to the rail, as the exact bytes; the state says how far it has come.';
COMMENT ON COLUMN orders.blocked IS 'Why a ready order may not be sent until an operator has released it.';

CREATE TABLE stops (
    area       text PRIMARY KEY,
    reason     text        NOT NULL,
    stopped_by text        NOT NULL,
    stopped_at timestamptz NOT NULL
);
COMMENT ON TABLE stops IS 'Areas (or * for all) to which nothing is sent until an operator resumes it.';

CREATE TABLE order_lines (
    order_id      uuid     NOT NULL,
    position      smallint NOT NULL,
    line_id       text     NOT NULL,
    refers_to     text,
    payment_id    uuid     NOT NULL,
    class_code    text     NOT NULL,
    start_on      date     NOT NULL,
    end_on        date     NOT NULL,
    amount        bigint   NOT NULL CHECK (amount > 0),
    decided_rate  bigint,
    ceased_from   date,
    decision_id   text     NOT NULL,
    PRIMARY KEY (order_id, position)
);
CREATE UNIQUE INDEX order_lines_new ON order_lines (line_id) WHERE ceased_from IS NULL;
COMMENT ON INDEX order_lines_new IS 'A line id is made once, in all cases and for ever: the rail takes it for the same line otherwise.';

CREATE TABLE payments (
    case_no        bigint  NOT NULL,
    payment_id     uuid    NOT NULL,
    version        integer NOT NULL,
    order_id       uuid    NOT NULL,
    area           text    NOT NULL,
    action         text    NOT NULL CHECK (action IN ('CREATE', 'UPDATE', 'DELETE')),
    state          text    NOT NULL CHECK (state IN ('pending', 'accepted', 'dropped')),
    superseded     boolean NOT NULL DEFAULT false,
    client_chose   boolean NOT NULL,
    listed         bigint  NOT NULL,
    last_line      text    NOT NULL,
    document       bytea   NOT NULL,
    PRIMARY KEY (case_no, payment_id, version)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX payments_pending ON payments (order_id) WHERE state = 'pending';
CREATE INDEX payments_current ON payments (case_no, listed) WHERE state = 'accepted' AND NOT superseded;
CREATE UNIQUE INDEX payments_pending_once ON payments (payment_id) WHERE client_chose AND state = 'pending';
CREATE UNIQUE INDEX payments_current_once ON payments (payment_id) WHERE client_chose AND state = 'accepted' AND NOT superseded;
COMMENT ON TABLE payments IS 'Versions of payments, never edited: pending until the receipt, then accepted or dropped. `listed` orders the case list.';

CREATE TABLE receipts (
    receipt_no  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id  text        NOT NULL,
    digest      bytea       NOT NULL,
    body        bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    order_id    uuid,
    grade       text,
    outcome     text        NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'unclear', 'repeat', 'contradicts', 'unmatched',
                                                                 'unreadable')),
    note        text        NOT NULL DEFAULT '',
    UNIQUE (message_id, digest)
);
CREATE INDEX receipts_of_order ON receipts (order_id);
COMMENT ON TABLE receipts IS 'Every answer of the rail as it came, and what it changed.';

CREATE TABLE outbox (
    outbox_no  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text    NOT NULL,
    key        bytea   NOT NULL,
    value      bytea,
    headers    bytea   NOT NULL,
    event_id   uuid    NOT NULL,
    message_no bigint,
    order_id   uuid,
    case_no    bigint,
    payment_id uuid,
    version    integer,
    made_at    timestamptz NOT NULL,
    relayed_at timestamptz,
    partition  integer,
    position   bigint
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outbox_unrelayed ON outbox (outbox_no) WHERE relayed_at IS NULL;
CREATE INDEX outbox_of_message ON outbox (message_no);
COMMENT ON TABLE outbox IS 'What shall be told, per topic and key. `value` is null where the bytes already are a fact: a payment, or else an order.';

CREATE TABLE dead_letters (
    dead_no    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     text        NOT NULL,
    partition  integer     NOT NULL,
    position   bigint      NOT NULL,
    key        bytea,
    body       bytea       NOT NULL,
    headers    bytea,
    reason     text        NOT NULL,
    message_no bigint,
    at         timestamptz NOT NULL,
    state      text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed')),
    closed_at  timestamptz,
    closed_by  text,
    note       text
);
CREATE INDEX dead_letters_open ON dead_letters (dead_no) WHERE state = 'open';
COMMENT ON TABLE dead_letters IS 'What could not be read, byte for byte, with the reason, for an operator to look at, fix and replay.';

CREATE TABLE audit (
    chain      bigint      NOT NULL,
    seq        integer     NOT NULL,
    at         timestamptz NOT NULL,
    what       text        NOT NULL,
    message_no bigint,
    order_id   uuid,
    receipt_no bigint,
    digest     bytea       NOT NULL,
    note       text,
    hash       bytea       NOT NULL,
    PRIMARY KEY (chain, seq)
);
COMMENT ON TABLE audit IS 'What happened to each case, in order, each entry hashed with the one before; chain 0 holds what operators did.';

CREATE TABLE leases (
    lease    text   PRIMARY KEY,
    owner    text   NOT NULL,
    epoch    bigint NOT NULL,
    until    timestamptz NOT NULL,
    position bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20);
COMMENT ON TABLE leases IS 'What must have one owner at a time; every write under a lease carries its epoch, so an old owner can do no harm.';

CREATE TABLE operators (
    chain      bigint PRIMARY KEY CHECK (chain = 0),
    audit_seq  integer NOT NULL DEFAULT 0,
    audit_hash bytea   NOT NULL DEFAULT '\x'
);
INSERT INTO operators (chain) VALUES (0);
COMMENT ON TABLE operators IS 'The head of the audit chain of operator actions.';

CREATE TABLE log_partitions (
    topic         text    NOT NULL,
    partition     integer NOT NULL,
    next_position bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20);
CREATE TABLE log_records (
    topic     text        NOT NULL,
    partition integer     NOT NULL,
    position  bigint      NOT NULL,
    at        timestamptz NOT NULL,
    key       bytea,
    value     bytea,
    headers   bytea       NOT NULL DEFAULT '[]',
    log_no    bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (topic, partition, position)
);
COMMENT ON COLUMN log_records.log_no IS 'The order of appending over all partitions, so that messages of one case are taken in as they were sent.';
COMMENT ON TABLE log_records IS 'The embedded log: topics as a table. Appending locks the partition row, so positions become visible in order.';

-- Bodies and documents are written once and read rarely. Where the server has no lz4, compressing them costs more time than the space is worth.
DO $$
DECLARE
    big record;
    lz4 boolean := (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression');
BEGIN
    FOR big IN SELECT * FROM (VALUES ('messages', 'body'), ('orders', 'xml'), ('payments', 'document'), ('receipts', 'body'),
                                     ('outbox', 'value'), ('log_records', 'value')) AS b (tab, col)
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET ' || CASE WHEN lz4 THEN 'COMPRESSION lz4' ELSE 'STORAGE EXTERNAL' END,
                       big.tab, big.col);
        -- What fits a page stays in it: moving two kilobytes out of line costs more than they are worth.
        EXECUTE format('ALTER TABLE %I SET (toast_tuple_target = 8160)', big.tab);
    END LOOP;
END $$;
