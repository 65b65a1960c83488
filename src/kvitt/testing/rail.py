"""The rail's side of a hub under test: the emulator's faults, its books, and answers of the test's own making."""

from collections.abc import Callable, Sequence
from datetime import date
from itertools import count
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.kernel.clock import Clock, oslo
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Outgoing, Queue
from kvitt.rails.oppdrag.emulator import (
    Chance,
    DamageForm,
    DaySpan,
    Faults,
    JudgedRun,
    PlayedRun,
    PostedRow,
    Received,
    ServiceFaults,
    ServiceHabits,
    SimulatedRequest,
    Violation,
    next_run,
    pay,
    posted_rows,
    received,
    reconciliations,
    set_faults,
    set_habits,
    set_service_faults,
    simulated,
    spans,
    violations,
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

    def __init__(
        self, connection: psycopg.Connection[Any], open_replies: Callable[[str | None], Queue], put: PutAtRails, clock: Clock
    ) -> None:
        self._connection, self._open_replies, self._put, self._clock = connection, open_replies, put, clock
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
        lose: float = 0,
        invent: float = 0,
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
        04; `lose` makes the order be gone at the rail as if it had never come, `invent` makes the rail believe that it has another one
        beside it; `closed` leaves everything in the queue. Raises ValueError for a probability that is none.
        """
        struck = {
            "swallow": swallow,
            "delay": delay,
            "double": double,
            "reorder": reorder,
            "damage": damage,
            "refuse": refuse,
            "warn": warn,
            "lose": lose,
            "invent": invent,
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

    def pay(self, day: date | None = None) -> PlayedRun:
        """Plays the payment run of a bank day, the next one if none is named. Raises CannotPay."""
        now = self._clock()
        return pay(self._connection, day or next_run(self._connection, oslo(now).date()), now)

    def paid(self, area: str, case_id: str) -> tuple[PostedRow, ...]:
        """The rows that payment runs posted on a case, in their order."""
        return posted_rows(self._connection, area, case_id)

    def simulation(self, *, habits: ServiceHabits | None = None, faults: ServiceFaults | None = None) -> None:
        """Makes the rail's simulation behave, and fail, in this way from the next request on; without a word as at first."""
        set_habits(self._connection, habits or ServiceHabits())
        set_service_faults(self._connection, faults or ServiceFaults())

    def simulated(self) -> tuple[SimulatedRequest, ...]:
        """The simulations that the rail was asked for, in the order of its answers."""
        return simulated(self._connection)

    def violations(self) -> tuple[Violation, ...]:
        """Each time that an order and a simulation of one case were at the rail at once, which must be never."""
        return violations(self._connection)

    def reconciliation(self) -> tuple[JudgedRun, ...]:
        """The runs of reconciliation that the rail was reported, as they began, each with where it differs from the rail's own records."""
        return reconciliations(self._connection)

    def reply(self, receipt: bytes, *, message_id: str = "", rail: str | None = None) -> None:
        """Puts an answer of the test's own on the queue of receipts, of the named rail or the default one; settled by the next run."""
        queue = self._open_replies(rail)
        try:
            queue.put([Outgoing(message_id or f"reply-{next(self._numbers)}", receipt)])
        finally:
            queue.close()


def _chance(often: float) -> Chance:
    return Chance(next=often) if isinstance(often, int) else Chance(probability=often)
