-- Who asked for an act at a door stands with the rows that the act made; acts are found by time and by what they were about.

ALTER TABLE payouts.events ADD COLUMN actor text;
COMMENT ON COLUMN payouts.events.actor IS 'who asked for the change, as JSON: door, name, address, trace; part of the hash';
ALTER TABLE ledger.steps ADD COLUMN actor text;
COMMENT ON COLUMN ledger.steps.actor IS 'who asked for the step, as JSON: door, name, address, trace';
ALTER TABLE ledger.accounts ADD COLUMN made_by text;
COMMENT ON COLUMN ledger.accounts.made_by IS 'who asked for the account, as JSON: door, name, address, trace';

-- Facts that are only ever added lie in the order of time: a few pages of index find a day of them.
CREATE INDEX events_by_time ON payouts.events USING brin (at);
CREATE INDEX steps_by_time ON ledger.steps USING brin (at);
CREATE INDEX audit_of_operators ON audit ((note::jsonb ->> 'subject'), seq) WHERE chain = 0;
