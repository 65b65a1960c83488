"""Amounts that carry their unit: a whole number is money only as `Minor` of a currency or as `Kroner`, and the two do not mix."""

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NewType

Minor = NewType("Minor", int)
"""Minor units of the currency beside it, as ISO 4217 counts them: 248000 of RUB are 2480 roubles. Negative where money is owed."""

Kroner = NewType("Kroner", int)
"""Whole Norwegian kroner, as orders to the payment rail have them."""

NOTHING = Minor(0)
"""No amount, in any currency."""


def exponent_of(currency: str) -> int | None:
    """How many decimals the unit of a currency has: 2 where a hundred minor units make one. None for a code that ISO 4217 does not have."""
    return _exponents().get(currency)


@cache
def _exponents() -> Mapping[str, int]:
    rows = csv.DictReader((files("kvitt.kernel") / "data" / "currencies.csv").read_text("utf-8").splitlines())
    return {row["code"]: int(row["exponent"]) for row in rows}
