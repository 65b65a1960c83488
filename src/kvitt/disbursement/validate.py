"""Has the rails look at orders before they are stored, many of a batch at once."""

from collections.abc import Iterable

from kvitt.disbursement.rail import Encoded, Rail
from kvitt.disbursement.values import Order

Unvalidated = tuple[Rail, tuple[Order, Encoded]]
"""An order that is made, and that its rail has not validated yet."""


def validate_together(made: Iterable[Unvalidated]) -> None:
    """Has each rail validate what is made for it. Raises InvalidOrderMessage."""
    by_rail: dict[str, list[Unvalidated]] = {}
    for each in made:
        by_rail.setdefault(each[0].name, []).append(each)
    for of_rail in by_rail.values():
        of_rail[0][0].validate([order for _, order in of_rail])
