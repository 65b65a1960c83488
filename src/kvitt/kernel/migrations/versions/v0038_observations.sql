-- What a rail says on the way to an answer is noted, and changes nothing. Money that came back, and orders that were cancelled, wait for a
-- person like all that nobody has decided.

ALTER TABLE receipts DROP CONSTRAINT receipts_outcome_check;
ALTER TABLE receipts ADD CONSTRAINT receipts_outcome_check
    CHECK (outcome IN ('accepted', 'rejected', 'unclear', 'settled', 'returned', 'cancelled', 'noted', 'repeat', 'contradicts', 'unmatched',
                       'unreadable'));

DROP INDEX receipts_odd;
DROP INDEX receipts_open;
CREATE INDEX receipts_odd ON receipts (receipt_no)
    WHERE outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts', 'returned', 'cancelled');
CREATE INDEX receipts_open ON receipts (receipt_no)
    WHERE closed_at IS NULL AND outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts', 'returned', 'cancelled');

CREATE OR REPLACE VIEW receipts_that_wait AS
SELECT r.receipt_no, r.outcome
FROM receipts AS r
WHERE r.closed_at IS NULL AND r.outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts', 'returned', 'cancelled')
  AND CASE r.outcome
      WHEN 'unclear' THEN EXISTS (SELECT FROM orders AS o WHERE o.order_id = r.order_id AND o.state IN ('ready', 'sending', 'sent', 'unknown'))
      WHEN 'contradicts' THEN coalesce(
          (SELECT bool_or(c.resolved_at IS NULL) FROM contradictions AS c WHERE c.order_id = r.order_id), true)
      ELSE true
  END;
