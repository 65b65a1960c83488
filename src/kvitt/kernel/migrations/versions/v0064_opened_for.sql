-- Whom a case was opened for, as long as the rail has accepted nothing of it.
ALTER TABLE cases ADD COLUMN opened_for text;
COMMENT ON COLUMN cases.opened_for IS 'The person of what was received last, whatever it pays; NULL: nothing since this column is here, or of an import that pays.';
