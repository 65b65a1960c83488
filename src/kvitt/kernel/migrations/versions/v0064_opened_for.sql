-- Whom a case was opened for, as long as the rail has accepted nothing of it.
ALTER TABLE cases ADD COLUMN opened_for text;
COMMENT ON COLUMN cases.opened_for IS 'The person of the newest order or decision that was received, whatever it pays; NULL: none was.';
