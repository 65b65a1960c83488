-- A job that is not due yet has the word that such jobs have: messages are queued, nothing is waiting.
ALTER TABLE jobs DROP CONSTRAINT jobs_state_check;
UPDATE jobs SET state = 'scheduled' WHERE state = 'waiting';
ALTER TABLE jobs ALTER COLUMN state SET DEFAULT 'scheduled', ADD CONSTRAINT jobs_state_check CHECK (state IN ('scheduled', 'failed'));
