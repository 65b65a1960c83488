"""Fee terms: what moves between which accounts for a payout of an amount, in exact whole minor units (payouts §3.1).

A volume is a fixed amount, a share p/q of the amount with a rounding, or the least, the greatest or the sum of several volumes.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from kvitt.kernel.money import Minor
from kvitt.ledger.rules import INT64_MAX
from kvitt.payouts.rules import AccountType, CashFlowPosting

MAX_DEPTH: Final = 8
"""The deepest nesting of volumes."""


class Rounding(StrEnum):
    """The rounding of a share that ends on a half; all others go to the nearest."""

    HALF_AWAY_FROM_ZERO = "half_away_from_zero"
    HALF_TOWARDS_ZERO = "half_towards_zero"


class Fixed(Struct, frozen=True, tag_field="kind", tag="fixed", forbid_unknown_fields=True, omit_defaults=True):
    """Always so much."""

    amount: Minor


class Proportion(Struct, frozen=True, tag_field="kind", tag="share", forbid_unknown_fields=True, omit_defaults=True):
    """`parts` of `whole` of the amount that is paid out."""

    parts: int
    whole: int
    rounding: Rounding = Rounding.HALF_AWAY_FROM_ZERO


class MinOf(Struct, frozen=True, tag_field="kind", tag="min_of", forbid_unknown_fields=True, omit_defaults=True):
    """The least of several."""

    volumes: tuple["Volume", ...]


class MaxOf(Struct, frozen=True, tag_field="kind", tag="max_of", forbid_unknown_fields=True, omit_defaults=True):
    """The greatest of several."""

    volumes: tuple["Volume", ...]


class SumOf(Struct, frozen=True, tag_field="kind", tag="sum_of", forbid_unknown_fields=True, omit_defaults=True):
    """Several together."""

    volumes: tuple["Volume", ...]


Volume = Fixed | Proportion | MinOf | MaxOf | SumOf


class Term(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One movement of every payout under a contract."""

    source: AccountType
    target: AccountType
    volume: Volume
    details: str | None = None


class TermsDoNotFit(Struct, frozen=True):
    """Terms that give no cash flow for an amount, and why; `too_much`: for one that is less they may."""

    reason: str
    too_much: bool = False


def wrong_volume(volume: Volume, depth: int = 1) -> str | None:
    """Judges a volume: the reason why no amount could be computed by it, or None."""
    if depth > MAX_DEPTH:
        return f"is nested more than {MAX_DEPTH} deep"
    match volume:
        case Fixed(amount=amount):
            return None if 0 <= amount <= INT64_MAX else "is a fixed amount below zero or beyond 64 bits"
        case Proportion(parts=parts, whole=whole):
            return (
                None
                if 0 <= parts <= INT64_MAX and 1 <= whole <= INT64_MAX
                else "is a share p/q with p below zero or q below one, or beyond 64 bits"
            )
        case MinOf(volumes=volumes) | MaxOf(volumes=volumes) | SumOf(volumes=volumes):
            if not volumes:
                return "is made of no volumes"
            return next((wrong for each in volumes if (wrong := wrong_volume(each, depth + 1))), None)


def has_unit(volume: Volume) -> bool:
    """Whether a sound volume has a fixed amount in it, which means something in one currency only."""
    match volume:
        case Fixed(amount=amount):
            return amount > 0
        case Proportion():
            return False
        case MinOf(volumes=volumes) | MaxOf(volumes=volumes) | SumOf(volumes=volumes):
            return any(map(has_unit, volumes))


def amount_of(volume: Volume, amount: Minor) -> Minor:
    """The amount of a sound volume for an amount of at least zero that is paid out."""
    match volume:
        case Fixed(amount=fixed):
            return fixed
        case Proportion():
            return _share(volume, amount)
        case MinOf(volumes=volumes):
            return min(amount_of(each, amount) for each in volumes)
        case MaxOf(volumes=volumes):
            return max(amount_of(each, amount) for each in volumes)
        case SumOf(volumes=volumes):
            return Minor(sum(amount_of(each, amount) for each in volumes))


def cash_flow_of(
    terms: Sequence[Term], amount: Minor, currency: str, accounts: Mapping[AccountType, int]
) -> tuple[CashFlowPosting, ...] | TermsDoNotFit:
    """The movements of a payout of `amount`, in the order of the terms; movements of nothing are left out.

    `accounts` has the ledger's account of each type for this shop and currency.
    """
    moved: list[CashFlowPosting] = []
    for term in terms:
        volume = amount_of(term.volume, amount)
        if not 0 <= volume <= INT64_MAX:
            return TermsDoNotFit("an amount is below zero or does not fit 64 bits", too_much=volume > INT64_MAX)
        if missing := [each for each in (term.source, term.target) if each not in accounts]:
            return TermsDoNotFit(f"there is no account {missing[0]} in {currency}")
        if volume:
            source, target = accounts[term.source], accounts[term.target]
            moved.append(
                CashFlowPosting(
                    source_type=term.source,
                    source=source,
                    target_type=term.target,
                    target=target,
                    amount=volume,
                    currency=currency,
                    details=term.details,
                )
            )
    return tuple(moved) if moved else TermsDoNotFit("the terms move nothing")


def _share(share: Proportion, amount: Minor) -> Minor:
    doubled, whole = 2 * share.parts * amount, 2 * share.whole
    if share.rounding is Rounding.HALF_AWAY_FROM_ZERO:
        return Minor((doubled + share.whole) // whole)
    return Minor(-((share.whole - doubled) // whole))
