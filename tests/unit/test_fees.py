"""Fees are exact: shares are rounded as the terms say, and what does not fit is refused."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.payouts.fees import (
    MAX_DEPTH,
    Fixed,
    MaxOf,
    MinOf,
    Proportion,
    Rounding,
    SumOf,
    Term,
    TermsDoNotFit,
    Volume,
    amount_of,
    cash_flow_of,
    wrong_volume,
)
from kvitt.payouts.rules import AccountType, Worth, worth_of

AWAY, TOWARDS = Rounding.HALF_AWAY_FROM_ZERO, Rounding.HALF_TOWARDS_ZERO
SETTLEMENT, PAYOUT, SYSTEM = AccountType.MERCHANT_SETTLEMENT, AccountType.MERCHANT_PAYOUT, AccountType.SYSTEM_SETTLEMENT
ACCOUNTS = {SETTLEMENT: 1, PAYOUT: 2, SYSTEM: 3}
amounts = st.integers(0, 2**62)


@pytest.mark.parametrize(
    ("amount", "rounding", "expected"),
    [
        (149, AWAY, 1),
        (150, AWAY, 2),
        (151, AWAY, 2),
        (150, TOWARDS, 1),
        (151, TOWARDS, 2),
        (250, TOWARDS, 2),
        (250, AWAY, 3),
        (0, AWAY, 0),
        (0, TOWARDS, 0),
    ],
)
def test_one_percent_of_an_amount(amount: int, rounding: Rounding, expected: int) -> None:
    assert amount_of(Proportion(1, 100, rounding), amount) == expected


@given(amounts, st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_is_nearest_to_the_exact_one_and_a_half_goes_where_the_terms_say(amount: int, parts: int, whole: int) -> None:
    exact = Fraction(amount * parts, whole)
    away, towards = (amount_of(Proportion(parts, whole, each), amount) for each in (AWAY, TOWARDS))
    assert abs(away - exact) <= Fraction(1, 2)
    assert abs(towards - exact) <= Fraction(1, 2)
    is_half = exact - math.floor(exact) == Fraction(1, 2)
    assert away - towards == (1 if is_half else 0)


@given(amounts)
def test_of_several_the_least_the_greatest_or_all(amount: int) -> None:
    several = (Fixed(500), Proportion(1, 100))
    each = [amount_of(volume, amount) for volume in several]
    assert [amount_of(kind(several), amount) for kind in (MinOf, MaxOf, SumOf)] == [min(each), max(each), sum(each)]
    assert amount_of(MaxOf((SumOf(several), MinOf(several))), amount) == sum(each)


def test_the_contracts_example_of_a_payout() -> None:
    terms = [
        Term(SETTLEMENT, PAYOUT, Proportion(1, 1)),
        Term(PAYOUT, SYSTEM, Fixed(20)),
        Term(SETTLEMENT, SYSTEM, Proportion(1, 200), "fee"),
    ]
    flow = cash_flow_of(terms, 1000, "RUB", ACCOUNTS)
    assert isinstance(flow, tuple)
    assert [(each.source, each.target, each.amount, each.details) for each in flow] == [
        (1, 2, 1000, None),
        (2, 3, 20, None),
        (1, 3, 5, "fee"),
    ]
    assert worth_of(flow) == Worth(980, 25)


def test_a_movement_of_nothing_is_left_out() -> None:
    flow = cash_flow_of([Term(SETTLEMENT, PAYOUT, Proportion(1, 1)), Term(PAYOUT, SYSTEM, Proportion(1, 1000))], 10, "RUB", ACCOUNTS)
    assert isinstance(flow, tuple)
    assert len(flow) == 1


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        (Term(SETTLEMENT, PAYOUT, Proportion(3, 1)), "64 bits"),
        (Term(SETTLEMENT, AccountType.EXTERNAL_INCOME, Fixed(1)), "no account external_income in RUB"),
        (Term(SETTLEMENT, PAYOUT, Fixed(0)), "move nothing"),
    ],
)
def test_terms_that_do_not_fit_say_why(term: Term, reason: str) -> None:
    refused = cash_flow_of([term], 2**62, "RUB", ACCOUNTS)
    assert isinstance(refused, TermsDoNotFit)
    assert reason in refused.reason


def test_no_amount_below_zero_moves() -> None:
    refused = cash_flow_of([Term(SETTLEMENT, PAYOUT, Proportion(1, 1))], -1, "RUB", ACCOUNTS)
    assert isinstance(refused, TermsDoNotFit)
    assert "below zero" in refused.reason


def nested(depth: int) -> Volume:
    volume: Volume = Fixed(1)
    for _ in range(depth - 1):
        volume = SumOf((volume,))
    return volume


@pytest.mark.parametrize(
    "volume", [Fixed(-1), Fixed(2**63), Proportion(-1, 2), Proportion(1, 0), MinOf(()), SumOf((Fixed(1), MaxOf(()))), nested(MAX_DEPTH + 1)]
)
def test_a_volume_that_can_not_be_computed_is_named(volume: Volume) -> None:
    assert wrong_volume(volume)
    assert wrong_volume(nested(MAX_DEPTH)) is None
