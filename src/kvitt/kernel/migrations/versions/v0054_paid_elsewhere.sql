-- An order is held for what other cases pay the same person on the same days, too.

ALTER TABLE cases ADD COLUMN ordered_for text;
COMMENT ON COLUMN cases.ordered_for IS 'The person of its newest order, accepted or not; by it other cases of theirs find this one.';
CREATE INDEX cases_of_person ON cases (ordered_for, case_no) WHERE ordered_for IS NOT NULL;

CREATE TABLE outside_findings (
    order_id      uuid    NOT NULL,
    place         integer NOT NULL,
    case_no       bigint  NOT NULL,
    other_case_no bigint,
    class_code    text,
    reason        jsonb   NOT NULL,
    PRIMARY KEY (order_id, place),
    CHECK (other_case_no <> case_no)
);
CREATE INDEX outside_findings_of_case ON outside_findings (case_no);
COMMENT ON TABLE outside_findings IS 'Reasons that held an order when it was made and that its case alone does not show: what was found in another case, for one. They stay when the order is released.';

CREATE TABLE exempt_pairs (
    case_no       bigint NOT NULL,
    other_case_no bigint NOT NULL,
    class_code    text   NOT NULL,
    -- The order that two people released.
    order_id      uuid   NOT NULL,
    PRIMARY KEY (case_no, other_case_no, class_code),
    CHECK (case_no < other_case_no)
);
COMMENT ON TABLE exempt_pairs IS 'Cases that rightly pay one person the same class code on the same days, by the word of two people: neither holds the other''s orders again.';

ALTER TABLE orders ALTER COLUMN guard SET DEFAULT 4;
