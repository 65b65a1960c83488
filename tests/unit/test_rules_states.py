"""Every arc of the state machines, and every arc that is missing (design §6)."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from kvitt.disbursement.states import (
    MESSAGE_ARCS,
    MESSAGE_TURNS,
    OPEN_ORDER,
    ORDER_ARCS,
    ORDER_TURNS,
    PAYMENT_ARCS,
    PAYMENT_TURNS,
    MessageState,
    OrderState,
    PaymentState,
)

ORDER = """
ready > sending withdrawn unknown accepted rejected
sending > ready sent unknown accepted rejected
sent > ready unknown accepted rejected
unknown > ready sending sent accepted rejected
"""
PAYMENT = "pending > accepted dropped"
MESSAGE = """
received > queued derived answered dead
queued > derived answered
derived > answered
"""
TURNED_ORDER = """
accepted > rejected
rejected > accepted
withdrawn > accepted
"""
TURNED_PAYMENT = """
accepted > dropped
dropped > accepted
"""
TURNED_MESSAGE = "derived > queued"
MACHINES: list[tuple[type[StrEnum], Mapping[Any, frozenset[Any]], str]] = [
    (OrderState, ORDER_ARCS, ORDER),
    (PaymentState, PAYMENT_ARCS, PAYMENT),
    (MessageState, MESSAGE_ARCS, MESSAGE),
]


def promised(text: str) -> set[tuple[str, str]]:
    arcs = (line.split(" > ") for line in text.strip().splitlines())
    return {(start, end) for start, ends in arcs for end in ends.split()}


@pytest.mark.parametrize(
    ("arcs", "start", "end", "legal"),
    [
        pytest.param(arcs, start, end, (start.value, end.value) in promised(text), id=f"{states.__name__}-{start}-{end}")
        for states, arcs, text in MACHINES
        for start, end in product(states, states)
    ],
)
def test_an_arc_is_there_or_is_missing_as_promised(
    arcs: Mapping[StrEnum, frozenset[StrEnum]], start: StrEnum, end: StrEnum, legal: bool
) -> None:
    assert (end in arcs[start]) is legal


def test_nothing_leaves_a_final_state() -> None:
    final = {state.value for _, arcs, _ in MACHINES for state, ends in arcs.items() if not ends}
    assert final == {"accepted", "rejected", "withdrawn", "dropped", "answered", "dead"}


def test_an_order_is_open_until_it_is_final() -> None:
    assert {state for state, ends in ORDER_ARCS.items() if ends} == OPEN_ORDER


@pytest.mark.parametrize(
    ("turns", "promise", "arcs"),
    [
        (ORDER_TURNS, TURNED_ORDER, ORDER_ARCS),
        (PAYMENT_TURNS, TURNED_PAYMENT, PAYMENT_ARCS),
        (MESSAGE_TURNS, TURNED_MESSAGE, MESSAGE_ARCS),
    ],
)
def test_two_people_may_turn_what_no_receipt_moves(
    turns: Mapping[StrEnum, frozenset[StrEnum]], promise: str, arcs: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    assert {(start.value, end.value) for start, ends in turns.items() for end in ends} == promised(promise)
    assert not any(end in arcs[start] for start, ends in turns.items() for end in ends)
