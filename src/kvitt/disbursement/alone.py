"""Acts that one person does alone, with what each would do: nothing is paid by them that its sender did not ask for (design §11)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.approvable import OrderNamed, effect_on_order
from kvitt.disbursement.letter_acts import PutsOn, unchanged_letter_act
from kvitt.disbursement.operate import EVERYWHERE, Operate, Stop
from kvitt.disbursement.ports import Ports
from kvitt.errors import NotInThatState
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load

_SQL: Final = load("operate", "kvitt.disbursement")
_MOST_COUNTED: Final = 1_000


class SendingPlace(Struct, frozen=True):
    """Where sending is stopped: an area of a rail, `*` for all of either."""

    rail: str
    area: str

    @property
    def words(self) -> str:
        """The place as people say it."""
        area = "any area" if self.area == EVERYWHERE else f"area {self.area}"
        return area if self.rail == EVERYWHERE else f"{area} over {self.rail}"


class _ReadyThere(NamedTuple):
    orders: int
    sum_kroner: Kroner


def acts_alone(clock: Clock, ports: Ports, puts_on: PutsOn) -> Sequence[ApprovableAct[Any]]:
    """Returns the acts that one person does."""
    return _withdraw_act(clock, ports), unchanged_letter_act(clock, ports, puts_on), _stop_act(clock, ports), _resume_act(clock, ports)


def _withdraw_act(clock: Clock, ports: Ports) -> ApprovableAct[OrderNamed]:
    def run(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        Operate(connection, clock, ports).withdraw(asked.order_id, operator)
        return f"order {asked.order_id} is withdrawn"

    return ApprovableAct("order withdraw", OrderNamed, lambda asked: asked.order_id, partial(effect_on_order, run), run)


def _stop_act(clock: Clock, ports: Ports) -> ApprovableAct[SendingPlace]:
    def preview(connection: Connection, asked: SendingPlace) -> ShownEffect:
        if asked.rail != EVERYWHERE:
            ports.rails.named(asked.rail)
        stands = _stop_at(Operate(connection, clock, ports), asked)
        lines = [f"nothing more would be sent to {asked.words} until it is resumed; {_waiting(connection, asked)}"]
        if stands:
            lines.append(f"it is stopped already, by {stands.stopped_by}: {stands.reason}; your name and reason would stand there instead")
        return ShownEffect.of("\n".join(lines), asked, stands)

    def run(connection: Connection, asked: SendingPlace, operator: Operator) -> str:
        Operate(connection, clock, ports).stop([asked.area], operator, asked.rail)
        return f"stopped: {asked.words}"

    return ApprovableAct("sending stop", SendingPlace, lambda asked: asked.words, preview, run)


def _resume_act(clock: Clock, ports: Ports) -> ApprovableAct[SendingPlace]:
    def preview(connection: Connection, asked: SendingPlace) -> ShownEffect:
        stands = _stop_at(Operate(connection, clock, ports), asked)
        if stands is None:
            raise NotInThatState(f"sending to {asked.words} is not stopped")
        text = f"what is ready would be sent to {asked.words}, unless another stop keeps it; {_waiting(connection, asked)}"
        return ShownEffect.of(f"{text}\nit was stopped by {stands.stopped_by}: {stands.reason}", asked, stands)

    def run(connection: Connection, asked: SendingPlace, operator: Operator) -> str:
        if not Operate(connection, clock, ports).resume([asked.area], operator, asked.rail):
            raise NotInThatState(f"sending to {asked.words} is not stopped")
        return f"resumed: {asked.words}"

    return ApprovableAct("sending resume", SendingPlace, lambda asked: asked.words, preview, run)


def _stop_at(operate: Operate, asked: SendingPlace) -> Stop | None:
    return next((each for each in operate.stopped() if (each.rail, each.area) == (asked.rail, asked.area)), None)


def _waiting(connection: Connection, asked: SendingPlace) -> str:
    """How much is ready there, in words: it moves all the time, and makes no other effect."""
    found = fetch_one(connection, _ReadyThere, _SQL.ready_there, {"rail": asked.rail, "area": asked.area, "limit": _MOST_COUNTED + 1})
    assert found is not None, "a count is a row"
    if found.orders > _MOST_COUNTED:
        return f"more than {_MOST_COUNTED} orders are ready there"
    return f"{found.orders} orders with the check sum {found.sum_kroner} kr are ready there, those that are held among them"
