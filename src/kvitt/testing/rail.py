"""The rail's side of a hub under test: the emulator's faults, its books, and answers of the test's own making."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Outgoing, Queue
from kvitt.rails.oppdrag.emulator import (
    Chance,
    DamageForm,
    DaySpan,
    Faults,
    Received,
    received,
    set_faults,
    spans,
)
from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer, ReceivedLine, ReceivedOrder
from kvitt.rails.oppdrag.emulator.reading import read
from kvitt.transports.queue.table_queue import TableQueue

_SQL = load("testing", package="kvitt.testing")


class SentOrder(Struct, frozen=True):
    """An order as it was put on a rail's queue, with its own bytes, also where it shares a file with others.

    `resend` counts how often operators had it sent again. Only orders of the state rail have `lines` (amounts are whole kroner); what can
    not be read, and is no order of the hub's, has empty fields beside its bytes.
    """

    order_id: str
    message: bytes
    resend: int
    area: str = ""
    case_id: str = ""
    person: str = ""
    lines: tuple[ReceivedLine, ...] = ()


class _OrderOfFile(NamedTuple):
    order_id: str
    message: bytes
    area: str
    case_id: str
    person: str


PutAtRails = dict[str, Sequence[SentOrder]]
"""The orders in each message that was put on a queue to a rail, by the id that the queue knows it by."""


class RequestQueue(TableQueue):
    """The queue to a rail; notes the orders in each message that is put on it, once, as a queue does that drops repeats."""

    def __init__(self, conninfo: str, name: str, put: PutAtRails) -> None:
        super().__init__(conninfo, name)
        self._put = put

    def put(self, messages: Sequence[Outgoing]) -> None:
        super().put(messages)
        for message in messages:
            if message.queue_id not in self._put:
                self._put[message.queue_id] = self._orders_in(message)

    def _orders_in(self, message: Outgoing) -> Sequence[SentOrder]:
        found = read(message.body)
        if isinstance(found, ReceivedOrder):
            about = found.case.area, found.case.case_id, found.person, found.lines
            return [SentOrder(message.message_id, message.body, message.resend, *about)]
        orders = fetch(self._producing(), _OrderOfFile, _SQL.orders_of_file, {"file_id": message.message_id})
        sent = [SentOrder(each.order_id, each.message, message.resend, each.area, each.case_id, each.person) for each in orders]
        return sent or [SentOrder(message.message_id, message.body, message.resend)]


class EmulatedRail:
    """Does what a test may do at the rail."""

    def __init__(self, connection: psycopg.Connection[Any], open_replies: Callable[[str | None], Queue], put: PutAtRails) -> None:
        self._connection, self._open_replies, self._put = connection, open_replies, put
        self._numbers = count(1)

    def fault(
        self,
        *,
        swallow: float = 0,
        delay: float = 0,
        double: float = 0,
        reorder: float = 0,
        damage: float = 0,
        refuse: float = 0,
        warn: float = 0,
        delay_seconds: float = 60.0,
        damage_forms: Sequence[DamageForm] = tuple(DamageForm),
        severity: str = "08",
        text: str = "Avvist av en test",
        code: str = "",
        closed: bool = False,
    ) -> None:
        """Makes the rail misbehave from the next order on, in this way alone; without arguments it behaves again.

        An `int` strikes that many orders to come, a `float` each with that probability, the same ones in every run.
        `swallow` sends no receipt, though the order takes effect; `delay` sends it when the clock has come `delay_seconds` further;
        `double` sends it twice; `reorder` lets receipts of a batch change places; `damage` sends it in one of `damage_forms`; `refuse`
        answers with `severity`, `text` and `code` (any severity, also one that nobody knows, or "") and books nothing; `warn` accepts with
        04; `closed` leaves everything in the queue. Raises ValueError for a probability that is none.
        """
        struck = {
            "swallow": swallow,
            "delay": delay,
            "double": double,
            "reorder": reorder,
            "damage": damage,
            "refuse": refuse,
            "warn": warn,
        }
        set_faults(
            self._connection,
            Faults(
                **{name: _chance(often) for name, often in struck.items()},  # type: ignore[arg-type]
                delay_seconds=delay_seconds,
                damage_forms=tuple(damage_forms),
                refusal=EmulatedAnswer(severity, text, code),
                closed=closed,
            ),
        )

    def sent(self) -> tuple[SentOrder, ...]:
        """Every order that was put on a rail's queue, in that order, whether the rail has read it yet or not."""
        return tuple(order for orders in self._put.values() for order in orders)

    def received(self) -> tuple[Received, ...]:
        """Every order that the rail has read, with what it made of it."""
        return tuple(received(self._connection))

    def pays(self, area: str, case_id: str) -> tuple[DaySpan, ...]:
        """Returns what the rail will pay on a case: the days on which each line is valid, by its own rule."""
        return spans(self._connection, area, case_id)

    def reply(self, receipt: bytes, *, message_id: str = "", rail: str | None = None) -> None:
        """Puts an answer of the test's own on the queue of receipts, of the named rail or the default one; settled by the next run."""
        queue = self._open_replies(rail)
        try:
            queue.put([Outgoing(message_id or f"reply-{next(self._numbers)}", receipt)])
        finally:
            queue.close()


def _chance(often: float) -> Chance:
    return Chance(next=often) if isinstance(often, int) else Chance(probability=often)
