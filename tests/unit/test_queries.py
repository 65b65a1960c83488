"""Named SQL is handed out by name, and a file that breaks the form is refused when it is loaded."""

import pytest

from kvitt.kernel.queries import Queries, load

TWO = """-- Statements about cases.

-- name: find_case
-- The case with this id.
-- :id uuid
SELECT 1
FROM cases; -- the only one

-- name: count_cases
-- How many there are.
SELECT count(*) FROM cases
"""


def test_a_statement_is_its_text_with_its_description() -> None:
    queries = Queries("cases.sql", TWO)
    assert queries.find_case == "-- The case with this id.\n-- :id uuid\nSELECT 1\nFROM cases; -- the only one"
    assert dir(queries) == ["count_cases", "find_case"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"cases\.sql has no statement named 'lose_case'; it has find_case, count_cases"):
        _ = Queries("cases.sql", TWO).lose_case


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no named statement"),
        ("-- only a comment\n", "holds no named statement"),
        ("SELECT 1;\n-- name: a\n-- Text.\nSELECT 2", "'' has no fit name"),
        ("-- name:\n-- Text.\nSELECT 1", "'' has no fit name"),
        ("-- name: two-words\n-- Text.\nSELECT 1", "'two-words' has no fit name"),
        ("-- name: a\nSELECT 1", "'a' has no description"),
        ("-- name: a\n--\nSELECT 1", "'a' has no description"),
        ("-- name: a\n-- Text.\n", "'a' has no SQL"),
        ("-- name: a\n-- Text.\nSELECT 1\n-- name: a\n-- Text.\nSELECT 2", "'a' stands twice"),
    ],
)
def test_a_file_that_breaks_the_form_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"cases.sql: .*{fault}"):
        Queries("cases.sql", text)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(FileNotFoundError):
        load("no_such_file", "kvitt.disbursement")
