"""Days that are paid twice, found by spans, are those that a model finds day by day, whatever the histories (design §8)."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.contracts.helved.messages import StreamMessage
from kvitt.contracts.helved.read import instructions_of
from kvitt.disbursement.catalogue import SCHEMES, PaidTwice
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, derive
from kvitt.disbursement.holding import MOST_FOUND, Paid, paid_twice, reasons_to_hold
from kvitt.disbursement.instructions import PaymentInstructions
from kvitt.disbursement.values import (
    Payment,
    PaymentId,
    RateType,
    Refusal,
    Scheme,
)
from support.strategies import MADE_AT, messages_of

FIRST = date(2026, 6, 1)
RATES = {"a": RateType.WEEKDAY, "b": RateType.WEEKDAY, "c": RateType.DAY, "d": RateType.ONE_OFF}
Doubled = set[tuple[str, str, str, int]]
"""Two sources, a class code, a day."""


@st.composite
def spans(draw: st.DrawFn) -> Paid:
    source, code = draw(st.sampled_from("abcd")), draw(st.sampled_from(["X", "Y"]))
    start = FIRST.toordinal() + draw(st.integers(0, 20))
    return Paid(source, code, start, start + draw(st.integers(0, 12)), draw(st.sampled_from([100, 200])), RATES[source])


def doubled(paid: Iterable[Paid], policy: PaidTwice, touched: AbstractSet[str]) -> Doubled:
    """Day by day, pair by pair."""
    found: Doubled = set()
    for one, other in combinations(sorted(paid, key=lambda each: each.source), 2):
        if one.source == other.source or one.class_code != other.class_code or not {one.source, other.source} & touched:
            continue
        if policy is PaidTwice.EQUAL_AMOUNT and one.amount != other.amount:
            continue
        for day in range(one.start, one.end + 1):
            works = date.fromordinal(day).weekday() < 5 or RateType.WEEKDAY not in (one.rate, other.rate)
            if other.start <= day <= other.end and works:
                found.add((one.source, other.source, one.class_code, day))
    return found


@pytest.mark.parametrize("policy", [PaidTwice.ONE_PAYMENT_PER_DAY, PaidTwice.EQUAL_AMOUNT])
@given(after=st.lists(spans(), max_size=8), before=st.lists(spans(), max_size=8), touched=st.sets(st.sampled_from("abcd")))
def test_spans_find_the_days_that_a_look_at_every_day_finds(
    policy: PaidTwice, after: list[Paid], before: list[Paid], touched: set[str]
) -> None:
    by_source: Mapping[str, Sequence[Paid]] = {name: [each for each in before if each.source == name] for name in RATES}
    found = paid_twice(list(after), lambda: by_source, touched, policy)
    assert len(found) < MOST_FOUND
    days = {
        (each.one, each.other, each.class_code, day)
        for each in found
        for day in range(each.start, each.end + 1)
        if date.fromordinal(day).weekday() < 5 or RateType.WEEKDAY not in (RATES[each.one], RATES[each.other])
    }
    assert days == doubled(after, policy, touched) - doubled(before, policy, set(RATES))


def pays(payments: Mapping[PaymentId, Payment], codes: Mapping[str, str]) -> dict[tuple[str, date], dict[str, int]]:
    """Per class and day: what each payment pays."""
    made: dict[tuple[str, date], dict[str, int]] = {}
    for payment_id, payment in payments.items():
        for period in payment.wanted:
            for number in range((period.end - period.start).days + 1):
                day = period.start + timedelta(days=number)
                if payment.rate_type is not RateType.WEEKDAY or day.weekday() < 5:
                    made.setdefault((codes[payment.benefit], day), {})[payment_id] = period.amount
    return made


def met(state: CaseState, policy: PaidTwice) -> set[tuple[str, str, str, date]]:
    """Class, two payments and a day: what is paid twice."""
    from kvitt.disbursement.catalogue import BENEFITS

    codes = {name: benefit.class_code for name, benefit in BENEFITS.items()}
    return {
        (code, one, other, day)
        for (code, day), payers in pays(state.payments, codes).items()
        for one, other in combinations(sorted(payers), 2)
        if policy is PaidTwice.ONE_PAYMENT_PER_DAY or payers[one] == payers[other]
    }


@pytest.mark.parametrize("scheme", [Scheme.DAGPENGER, Scheme.AAP, Scheme.TILTAKSPENGER, Scheme.TILLEGGSSTONADER])
@given(st.data())
def test_an_order_is_held_for_what_it_adds_and_for_nothing_else(scheme: Scheme, data: st.DataObject) -> None:
    policy, state = SCHEMES[scheme].paid_twice, NEW_CASE
    messages: list[StreamMessage] = data.draw(messages_of(scheme))
    for number, message in enumerate(messages):
        instructions = instructions_of(message, f"key-{number}")
        if not isinstance(instructions, PaymentInstructions):
            continue
        orders = derive(instructions, state, MADE_AT)
        if isinstance(orders, Refusal) or not orders:
            continue
        payments = {**state.payments, **{each.payment_id: each for order in orders for each in order.payments}}
        after = replace(state, payments=payments, areas=state.areas | {order.area for order in orders}, orders_made=state.orders_made + 2)
        new = met(after, policy) - met(state, policy)
        held = any(reasons_to_hold(orders, state))
        if policy is PaidTwice.ONE_PAYMENT_PER_DAY or new:
            assert held is bool(new)
        state = replace(after, person=instructions.decision.person)
