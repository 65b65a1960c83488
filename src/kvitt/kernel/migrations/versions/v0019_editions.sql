-- Rules of reading become stricter; a message is read again by those of the day on which it came in.

ALTER TABLE messages ADD COLUMN edition smallint NOT NULL DEFAULT 1;
COMMENT ON COLUMN messages.edition IS 'The edition of the rules by which it was read when it came in, and is read whenever it is read again.';
