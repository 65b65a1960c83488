"""How many decimals a currency's minor unit stands for (ISO 4217), and an amount written in the currency's own unit."""

import csv
from importlib import resources
from typing import Final

_ROWS = csv.DictReader((resources.files("kvitt.kernel") / "data" / "currencies.csv").read_text("utf-8").splitlines())
EXPONENTS: Final = {row["code"]: int(row["exponent"]) for row in _ROWS}
"""By code: 2 where a hundred minor units make one, 0 where there is no smaller unit."""


def in_units(amount_minor: int, currency: str) -> str:
    """Whole minor units as a grouped amount in the currency's unit: 248000 of RUB are `2,480.00`.

    Of a code that ISO 4217 does not have nobody knows how many make one, so the amount stays as it is and says so: `248,000 minor`.
    """
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        return f"{amount_minor:,} minor"
    if exponent == 0:
        return f"{amount_minor:,}"
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    return f"{'-' if amount_minor < 0 else ''}{whole:,}.{rest:0{exponent}d}"
