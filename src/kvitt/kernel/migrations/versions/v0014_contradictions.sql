-- An order may be held for more than one reason; who decided it is a fact of its own; a receipt that contradicts what stands is a state
-- of its case until two people have resolved it.

ALTER TABLE orders ADD COLUMN held_for text[] NOT NULL DEFAULT '{}';
UPDATE orders SET held_for = ARRAY['equal_line: ' || blocked] WHERE blocked IS NOT NULL;
ALTER TABLE orders DROP COLUMN blocked;
COMMENT ON COLUMN orders.held_for IS 'Why a ready order may not be sent, each as `kind: text`; empty: nothing holds it.';

ALTER TABLE orders ADD COLUMN decided_by_hand boolean NOT NULL DEFAULT false;
UPDATE orders AS o SET decided_by_hand = true
FROM receipts AS r WHERE r.receipt_no = o.receipt_no AND r.message_id LIKE 'operator-%' AND o.state IN ('accepted', 'rejected');
COMMENT ON COLUMN orders.decided_by_hand IS 'Its outcome is the word of an operator and not of the rail: the rail may know otherwise.';

ALTER TABLE cases ADD COLUMN contradictions integer NOT NULL DEFAULT 0 CHECK (contradictions >= 0);
COMMENT ON COLUMN cases.contradictions IS 'How many are open; as long as there are any, messages wait and nothing is sent.';

CREATE TABLE contradictions (
    contradiction_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_no          bigint      NOT NULL,
    order_id         uuid        NOT NULL,
    receipt_no       bigint      NOT NULL,
    ours             text        NOT NULL CHECK (ours IN ('accepted', 'rejected', 'withdrawn')),
    rails            text        NOT NULL CHECK (rails IN ('accepted', 'rejected')),
    found_at         timestamptz NOT NULL,
    resolved_at      timestamptz,
    resolution       text        CHECK (resolution IN ('adopted', 'kept')),
    resolved_by      text,
    approved_by      text,
    reason           text,
    CHECK (ours <> rails),
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE INDEX contradictions_of_order ON contradictions (order_id, contradiction_no);
CREATE INDEX contradictions_of_case ON contradictions (case_no);
CREATE UNIQUE INDEX contradictions_open ON contradictions (order_id) WHERE resolved_at IS NULL;
COMMENT ON TABLE contradictions IS 'What the rail said against what stands of an order, and what two people made of it.';
COMMENT ON COLUMN contradictions.ours IS 'The state of the order when the receipt came.';
COMMENT ON COLUMN contradictions.rails IS 'What the receipt says that the order is.';

-- Receipts that contradicted before this was kept: each opens a contradiction, noted in the chain of its case like any other.
DO $$
DECLARE
    found record;
    entry_hash bytea;
    note_digest bytea;
BEGIN
    FOR found IN
        SELECT DISTINCT ON (o.order_id) o.order_id, o.case_no, o.message_no, o.state, o.xml, r.receipt_no, r.grade, r.note
        FROM receipts AS r JOIN orders AS o ON o.order_id = r.order_id
        WHERE r.outcome = 'contradicts' AND o.state = 'rejected'
        ORDER BY o.order_id, r.receipt_no DESC
    LOOP
        INSERT INTO contradictions (case_no, order_id, receipt_no, ours, rails, found_at)
        VALUES (found.case_no, found.order_id, found.receipt_no, 'rejected', 'accepted', now());
        -- SHA-256 over contents, each preceded by its length; then over the entry before, what this one tells, and that digest.
        note_digest := sha256(int8send(octet_length(found.xml)) || found.xml
                              || int8send(octet_length(convert_to(found.grade, 'UTF8'))) || convert_to(found.grade, 'UTF8')
                              || int8send(octet_length(convert_to(found.note, 'UTF8'))) || convert_to(found.note, 'UTF8'));
        SELECT sha256(c.audit_hash
                      || convert_to(format('%s|%s|%s|contradicted|%s|%s|%s|None', c.case_no, c.audit_seq + 1,
                                           trim(to_char(extract(epoch FROM now()), '999999999999990.000000')),
                                           found.message_no, found.order_id, found.receipt_no), 'UTF8')
                      || note_digest)
        INTO entry_hash FROM cases AS c WHERE c.case_no = found.case_no;
        INSERT INTO audit (chain, seq, at, what, message_no, order_id, receipt_no, digest, note, hash)
        SELECT c.case_no, c.audit_seq + 1, now(), 'contradicted', found.message_no, found.order_id, found.receipt_no, note_digest, NULL,
               entry_hash
        FROM cases AS c WHERE c.case_no = found.case_no;
        UPDATE cases SET audit_seq = audit_seq + 1, audit_hash = entry_hash, contradictions = contradictions + 1
        WHERE case_no = found.case_no;
    END LOOP;
    UPDATE orders AS o
    SET held_for = held_for || ARRAY['contradiction: what the rail says of another order of the case contradicts what stands']
    FROM cases AS c
    WHERE c.case_no = o.case_no AND c.contradictions > 0 AND o.state IN ('ready', 'sending', 'sent', 'unknown');
END $$;
