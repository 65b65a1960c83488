"""The difference that people see between a dead letter and what is put in its place."""

import re

import pytest

from kvitt.disbursement.letter_acts import difference

PERSON = "03412983857"
LONG = (
    f'{{"sakId": "S-1", "ident": "{PERSON}", "utbetalinger": [{{"fom": "2026-06-01", "tom": "2026-06-12", "sats": 1000, "beløp": 500}}]}}'
)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a\nb\nc", "a\nB\nc", ["taken out: b", "put in: B"]),
        ("a\nc", "a\nb\nc", ["put in: b"]),
        ("a\nb\nc", "a\nc", ["taken out: b"]),
        ("a\nb", "c", ["taken out: a", "put in: c", "taken out: b"]),
        ("a", "a", []),
        ("", "a", ["put in: a"]),
    ],
    ids=["another", "more", "less", "fewer", "the same", "from nothing"],
)
def test_lines_that_are_taken_out_and_put_in_stand_in_their_order(before: str, after: str, said: list[str]) -> None:
    assert list(difference(before, after)) == said


def test_of_a_long_line_stands_what_differs_and_what_is_around_it() -> None:
    assert list(difference(LONG[:-1], LONG)) == [
        'taken out: … "2026-06-12", "sats": 1000, "beløp": 500}]',
        'put in: … "2026-06-12", "sats": 1000, "beløp": 500}]}',
    ]
    assert list(difference(LONG, LONG.replace("S-1", "S-22"))) == [
        'taken out: {"sakId": "S-1", "ident": "03412983857", "utbetalinger" …',
        'put in: {"sakId": "S-22", "ident": "03412983857", "utbetalinger" …',
    ]


def test_nobodys_number_is_cut_through() -> None:
    number = range(LONG.index(PERSON), LONG.index(PERSON) + len(PERSON))
    for at in set(range(len(LONG))) - set(number):
        for line in difference(LONG, f"{LONG[:at]}x{LONG[at + 1 :]}"):
            assert set(re.findall(r"\d{5,}", line)) <= {PERSON}
