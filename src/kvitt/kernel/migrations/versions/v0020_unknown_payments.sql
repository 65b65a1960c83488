-- What the hub before us had on a case's list, and of which it told nothing: a message that would cease it can not be answered OK.

ALTER TABLE cases ADD COLUMN unknown text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN cases.unknown IS 'Payment ids that were listed when the case was taken over, and of which nothing else was; * = nothing of the case was.';
CREATE INDEX cases_unknown ON cases (case_no) WHERE unknown <> '{}';
