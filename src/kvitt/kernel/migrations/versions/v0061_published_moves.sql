-- What is published about a case that was moved is about no message of it, and found by the case; what was moved is found by the id that it had.

CREATE INDEX outbox_of_moves ON outbox (case_no) WHERE message_no IS NULL AND case_no IS NOT NULL;
CREATE INDEX moved_payments_by_id ON moved_payments (payment_id);
