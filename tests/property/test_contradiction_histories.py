"""Arbitrary histories in which operators decide and the rail says otherwise: once all is adopted, both pay the same, day by day.

What the rail pays is read from the emulator's journal by its own rule, which shares nothing with ours; what kvitt holds to be accepted is
read from the stored payments.
"""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotInThatState
from kvitt.rails.oppdrag.emulator import Chance, Faults, set_faults
from kvitt.testing import TestServer
from support.contradiction_stage import BOTH, Contradicted, contradicted
from support.hub_messages import dp
from support.hub_stage import again
from support.tried import tried

_numbers = count()


class Round(Struct, frozen=True):
    """A message and what becomes of its order: whether the rail refuses it, what an operator says of it, when its receipts come.

    An order that has not `left` may still wait when a receipt contradicts its case. `then` is what people do at the end of the round
    about what contradicts.
    """

    amount: int
    days: tuple[int, ...]
    refused: bool
    decided: bool | None
    late: bool
    left: bool
    doubled: bool
    then: str


rounds = st.lists(
    st.builds(
        Round,
        st.sampled_from([500, 600, 700]),
        st.sampled_from([(1, 2, 3), (1, 2), (2, 3), (1, 2, 3, 4), (3,), (8, 9), ()]),
        st.sampled_from([False, False, True]),
        st.sampled_from([None, True, False]),
        st.sampled_from([False, False, True]),
        st.sampled_from([True, True, False]),
        st.booleans(),
        st.sampled_from(["adopt", "adopt", "wait", "keep"]),
    ),
    min_size=1,
    max_size=6,
)


class Play:
    """One history of one case."""

    def __init__(self, stage: Contradicted, case: str) -> None:
        self.stage, self.case = stage, case
        self.on_the_way: list[RawReceipt] = []
        self.kept = False
        self._keys = count()

    def round(self, drawn: Round) -> None:
        """Hands a message in and lets its order fare as was drawn."""
        message = dp(self.case, drawn.amount, days=drawn.days)
        self.stage.hand_in(Scheme.DAGPENGER, (f"{self.case}/{next(self._keys)}", message))
        if drawn.left:
            self._exchange(refused=drawn.refused)
        for order in self.stage.operate.orders_of_case(self.case, [OrderState.SENT]) if drawn.decided is not None else ():
            self.stage.operate.decide(order.order_id, accepted=bool(drawn.decided), operator=BOTH)
        if not drawn.late:
            self._receipts(doubled=drawn.doubled)
        if drawn.then == "adopt":
            self._adopt()
        elif drawn.then == "keep":
            self._keep()

    def _exchange(self, *, refused: bool = False) -> None:
        for held in self.stage.operate.orders([OrderState.READY], held_only=True):
            if all(reason.kind == "paid_twice" for reason in held.held_for):
                self.stage.operate.release(held.order_id, BOTH)
        set_faults(self.stage.connection, Faults(refuse=Chance(next=1)) if refused else Faults())
        self.on_the_way += self.stage.exchange()
        set_faults(self.stage.connection, Faults())

    def _receipts(self, *, doubled: bool = False) -> None:
        while self.on_the_way:
            receipt = self.on_the_way.pop(0)
            self.stage.settle([receipt])
            if doubled:
                self.stage.settle(again([receipt], f"again {next(self._keys)}"))

    def _adopt(self) -> None:
        for order_id in self._contradicted():
            try:
                self.stage.resolve.adopt(order_id, BOTH)
            except NotInThatState:
                continue

    def _keep(self) -> None:
        for order_id in self._contradicted()[:1]:
            self.stage.resolve.keep(order_id, BOTH)
            self.kept = True

    def _contradicted(self) -> list[str]:
        return [order.order_id for order in self.stage.operate.waiting_orders() if order.rail_says]

    def _release_beside_what_has_ended(self) -> None:
        """Lets go what was held beside an order that the rail might have had: it has answered, and nothing is contradicted any more."""
        if not self.stage.open_contradictions():
            for held in self.stage.operate.orders([OrderState.READY], held_only=True):
                self.stage.operate.release(held.order_id, BOTH)

    def finish(self) -> None:
        """Lets everything come to its end, adopting whatever can be; what can not is kept."""
        for _ in range(50):
            self._exchange()
            self._receipts()
            self._adopt()
            if not self.stage.rows("SELECT FROM orders WHERE state IN ('sent', 'unknown')"):
                self._keep()
            self._release_beside_what_has_ended()
            if not self.stage.rows("SELECT FROM cases WHERE open_orders + queued + contradictions > 0"):
                return
        raise AssertionError("the case does not come to its end")


@pytest.fixture(scope="module")
def stage(kvitt_server: TestServer) -> Iterator[Contradicted]:
    with kvitt_server.database() as conninfo, contradicted(conninfo) as made:
        yield made


@tried(30, least=30)  # fewer do not come to all that is asked for below
@given(rounds)
def test_what_is_adopted_is_paid_on_both_sides_alike(stage: Contradicted, history: list[Round]) -> None:
    play = Play(stage, f"H{next(_numbers)}")
    for drawn in history:
        play.round(drawn)
    stage.assert_clean()
    play.finish()
    stage.assert_clean()
    assert stage.rows("SELECT FROM messages WHERE state <> 'answered'") == []
    if not play.kept:
        assert stage.accepted(play.case) == stage.at_the_rail(play.case, "DP")


def test_the_histories_have_adopted_in_both_directions(stage: Contradicted) -> None:
    adopted = stage.rows("SELECT ours, rails, resolution, count(*) FROM contradictions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")
    assert stage.rows("SELECT FROM orders WHERE taken_back LIMIT 1") != []
    assert {("accepted", "rejected"), ("rejected", "accepted")} <= {(ours, rails) for ours, rails, how, _ in adopted if how == "adopted"}
