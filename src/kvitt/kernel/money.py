"""Amounts that carry their unit: a whole number is money only as `Minor` of a currency or as `Kroner`, and the two do not mix."""

from typing import NewType

Minor = NewType("Minor", int)
"""Minor units of the currency beside it, as ISO 4217 counts them: 248000 of RUB are 2480 roubles. Negative where money is owed."""

Kroner = NewType("Kroner", int)
"""Whole Norwegian kroner, as orders to the payment rail have them."""

NOTHING = Minor(0)
"""No amount, in any currency."""
