"""The acts that stop sending and let it go on, with what leaves by now where they do (design §11).

What would leave grows with each message and each second. It is shown as it is, and makes no other effect: that is made by the places and by
the stops there, who has set them, when and why.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.operate import EVERYWHERE, Operate, Stop
from kvitt.disbursement.ports import Ports
from kvitt.errors import NotInThatState
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load

_SQL: Final = load("operate", "kvitt.disbursement")
_MOST_COUNTED: Final = 20_000


class SendingPlace(Struct, frozen=True):
    """Where sending is stopped or goes on: areas of a rail, `*` for all of either."""

    rail: str
    areas: tuple[str, ...]

    @property
    def words(self) -> str:
        """The place as people say it."""
        areas = "any area" if EVERYWHERE in self.areas else f"area{'s' * (len(self.areas) > 1)} {', '.join(self.areas)}"
        return areas if self.rail == EVERYWHERE else f"{areas} over {self.rail}"

    def has(self, stop: Stop) -> bool:
        """Whether a stop is one of just this place."""
        return stop.rail == self.rail and stop.area in self.areas


class _ReadyThere(NamedTuple):
    area: str
    is_there: bool
    is_kept: bool
    orders: int
    sum_kroner: Kroner


def sending_acts(clock: Clock, ports: Ports) -> Sequence[ApprovableAct[Any]]:
    """Both of them."""
    return _stop_act(clock, ports), _resume_act(clock, ports)


def _stop_act(clock: Clock, ports: Ports) -> ApprovableAct[SendingPlace]:
    def preview(connection: Connection, asked: SendingPlace) -> ShownEffect:
        if asked.rail != EVERYWHERE:
            ports.rails.named(asked.rail)
        stands = [each for each in Operate(connection, clock, ports).stopped() if asked.has(each)]
        lines = [f"nothing more would be sent to {asked.words} until it is resumed", *_ready(connection, ports, asked)]
        lines += [f"{_stopped(each)}; your name and reason would stand there instead" for each in stands]
        return ShownEffect.of("\n".join(lines), asked, *stands)

    def run(connection: Connection, asked: SendingPlace, operator: Operator) -> str:
        Operate(connection, clock, ports).stop(asked.areas, operator, asked.rail)
        return f"stopped: {asked.words}"

    return ApprovableAct("sending stop", SendingPlace, lambda asked: asked.words, preview, run)


def _resume_act(clock: Clock, ports: Ports) -> ApprovableAct[SendingPlace]:
    def preview(connection: Connection, asked: SendingPlace) -> ShownEffect:
        stands = Operate(connection, clock, ports).stopped()
        ended = [each for each in stands if asked.has(each)]
        if not ended:
            raise NotInThatState(f"sending to {asked.words} is not stopped")
        others = [_stopped(each) for each in stands if not asked.has(each)]
        lines = [f"sending to {asked.words} would go on", *map(_stopped, ended), *_ready(connection, ports, asked)]
        return ShownEffect.of("\n".join([*lines, *(f"another stop stays: {each}" for each in others)]), asked, *stands)

    def run(connection: Connection, asked: SendingPlace, operator: Operator) -> str:
        resumed = Operate(connection, clock, ports).resume(asked.areas, operator, asked.rail)
        if not resumed:
            raise NotInThatState(f"sending to {asked.words} is not stopped")
        return f"resumed: {SendingPlace(asked.rail, tuple(resumed)).words}"

    return ApprovableAct("sending resume", SendingPlace, lambda asked: asked.words, preview, run)


def _stopped(stop: Stop) -> str:
    place = SendingPlace(stop.rail, (stop.area,)).words
    return f"{place} was stopped by {stop.stopped_by} at {stop.stopped_at:%Y-%m-%d %H:%M:%S} UTC: {stop.reason}"


def _ready(connection: Connection, ports: Ports, asked: SendingPlace) -> Iterator[str]:
    """Orders there that nothing holds, in words, area by area, and which of them other stops keep; as far as so many are looked through."""
    rails = [rail.name for rail in ports.rails] if asked.rail == EVERYWHERE else [asked.rail]
    arguments = {"rail": asked.rail, "rails": rails, "areas": list(asked.areas), "limit": _MOST_COUNTED}
    looked = fetch(connection, _ReadyThere, _SQL.ready_there, arguments)
    found, least = [each for each in looked if each.is_there], "at least " * (sum(each.orders for each in looked) >= _MOST_COUNTED)
    if found or least:
        yield f"ready to leave there by now: {least}{_sum(found)}"
    else:
        yield "no order is ready to leave there by now"
    yield from (f"  {each.area}: {_sum([each])}{', which another stop keeps' if each.is_kept else ''}" for each in found)


def _sum(found: Sequence[_ReadyThere]) -> str:
    orders = sum(each.orders for each in found)
    return f"{orders} order{'s' * (orders != 1)}, check sum {sum(each.sum_kroner for each in found)} kr"
