COMMENT ON COLUMN cases.ordered_for IS 'The person of its newest order or decision, accepted or not; by it other cases of theirs find this one.';
