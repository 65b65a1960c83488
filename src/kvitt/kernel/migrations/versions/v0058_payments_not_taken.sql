-- The versions of payments that the rail did not take are found by the ids that their callers chose.

CREATE INDEX payments_dropped ON payments (payment_id) WHERE client_chose AND state = 'dropped';
