-- What kvitt says on the topics is published: the columns say so.

ALTER TABLE messages RENAME COLUMN told_at TO published_at;
ALTER TABLE orders RENAME COLUMN told_under TO published_under;
