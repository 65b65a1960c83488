"""Amounts for the eye: grouped, in the unit that people count in. In JSON they stay whole numbers, with the unit in the field's name."""

from kvitt.rules.currencies import in_units


def kroner(amount: int) -> str:
    """Whole kroner, as the payment rail has them."""
    return f"{amount:,}"


def minor(amount: int, currency: str) -> str:
    """Whole minor units, as ledger and payouts have them, in the currency's own unit."""
    return in_units(amount, currency)
