"""Schedules of the store and of the rail are compared in one form: the fewest stretches that pay the same."""

from datetime import date

import pytest

from kvitt.rails.oppdrag.comparison import Stretch, stretches


def june(*pieces: tuple[int, int, int]) -> tuple[Stretch, ...]:
    """Stretches in June 2025, whose 2nd is a Monday: first and last day of the month, amount."""
    return tuple(Stretch(date(2025, 6, first), date(2025, 6, last), amount) for first, last, amount in pieces)


@pytest.mark.parametrize(
    ("rate", "given", "same"),
    [
        ("DAG", june((2, 6, 5), (9, 13, 5)), june((2, 13, 5))),
        ("DAG", june((9, 13, 5), (2, 8, 5)), june((2, 13, 5))),
        ("DAG", june((2, 6, 5), (9, 13, 6)), june((2, 6, 5), (9, 13, 6))),
        ("DAG", june((2, 5, 5), (9, 13, 5)), june((2, 5, 5), (9, 13, 5))),
        ("DAG", june((1, 7, 5)), june((2, 6, 5))),
        ("DAG", june((7, 8, 5)), ()),
        ("DAG", june((14, 16, 5)), june((16, 16, 5))),
        ("DAG7", june((2, 6, 5), (7, 8, 5)), june((2, 8, 5))),
        ("DAG7", june((2, 6, 5), (9, 13, 5)), june((2, 6, 5), (9, 13, 5))),
        ("MND", june((1, 15, 5), (16, 30, 5)), june((1, 30, 5))),
        ("ENG", june((2, 6, 5), (7, 8, 5)), june((2, 6, 5), (7, 8, 5))),
        ("ENG", june((7, 8, 5), (2, 2, 5)), june((2, 2, 5), (7, 8, 5))),
    ],
)
def test_what_pays_the_same_looks_the_same(rate: str, given: tuple[Stretch, ...], same: tuple[Stretch, ...]) -> None:
    assert stretches(rate, given) == same
