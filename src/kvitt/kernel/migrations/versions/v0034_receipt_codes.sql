-- What a rail says stands in columns: its severity, its code and its text. Codes of receipts that are there are filled in from their bytes.

ALTER TABLE receipts ADD COLUMN code text;
COMMENT ON COLUMN receipts.code IS 'The rail''s own code, as it came; empty where it names none, NULL where nothing could be read.';
COMMENT ON COLUMN receipts.note IS 'The rail''s own text; where nothing could be read, why.';
