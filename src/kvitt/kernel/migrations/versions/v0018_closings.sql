-- What a person has looked at and dealt with is closed, with who and why, and no longer counts as open.

ALTER TABLE dead_letters DROP CONSTRAINT dead_letters_state_check;
ALTER TABLE dead_letters ADD CONSTRAINT dead_letters_state_check CHECK (state IN ('open', 'replayed', 'closed'));

ALTER TABLE receipts ADD COLUMN closed_at timestamptz;
ALTER TABLE receipts ADD COLUMN closed_by text;
ALTER TABLE receipts ADD COLUMN closed_because text;
ALTER TABLE receipts ADD CONSTRAINT receipts_closed_by_somebody CHECK ((closed_at IS NULL) = (closed_by IS NULL));
COMMENT ON COLUMN receipts.closed_at IS 'When a person said that a receipt which settled nothing has been dealt with.';

-- Of the few that settled nothing only: an ordinary receipt enters neither.
CREATE INDEX receipts_odd ON receipts (receipt_no) WHERE outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts');
CREATE INDEX receipts_open ON receipts (receipt_no)
    WHERE closed_at IS NULL AND outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts');

CREATE VIEW receipts_that_wait AS
SELECT r.receipt_no, r.outcome
FROM receipts AS r
WHERE r.closed_at IS NULL AND r.outcome IN ('unreadable', 'unmatched', 'unclear', 'contradicts')
  AND CASE r.outcome
      WHEN 'unclear' THEN EXISTS (SELECT FROM orders AS o WHERE o.order_id = r.order_id AND o.state IN ('ready', 'sending', 'sent', 'unknown'))
      WHEN 'contradicts' THEN coalesce(
          (SELECT bool_or(c.resolved_at IS NULL) FROM contradictions AS c WHERE c.order_id = r.order_id), true)
      ELSE true
  END;
COMMENT ON VIEW receipts_that_wait IS 'Receipts that a person should look at: not closed, and not settled by what came later.';
