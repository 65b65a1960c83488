"""What a sender is told: status, details per order line, error (helved §2.8)."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.values import (
    Area,
    DecisionId,
    Order,
    OrderLine,
    Refusal,
)
from kvitt.kernel.money import Kroner


class Status(StrEnum):
    """The states a sender sees for one key."""

    RECEIVED = "MOTTATT"
    WITH_RAIL = "HOS_OPPDRAG"
    OK = "OK"
    FAILED = "FEILET"


class DetailLine(Struct, frozen=True):
    """One order line as the sender sees it; the amount of a cessation is 0.

    Only in answers to messages over several areas has it an `area` and, once the order of that area is settled, a `status`: OK or FAILED.
    """

    decision_id: DecisionId
    start: date
    end: date
    decided_rate: Kroner | None
    amount: Kroner
    class_code: str
    area: Area | None = None
    status: Status | None = None


class Details(Struct, frozen=True):
    """The lines of an answer, sorted by first day. `area` is None when the orders of one message are in several areas."""

    area: Area | None
    lines: tuple[DetailLine, ...]


def _detail(line: OrderLine, area: Area | None) -> DetailLine:
    amount = line.amount if line.ceased_from is None else Kroner(0)
    return DetailLine(line.decision_id, line.start, line.end, line.decided_rate, amount, line.class_code, area)


def details_of(orders: Sequence[Order]) -> Details:
    """What the sender is told of the orders of one message: their lines by first day, those of a day in order of sending."""
    of_one = len(orders) == 1
    lines = sorted((_detail(line, None if of_one else order.area) for order in orders for line in order.lines), key=attrgetter("start"))
    return Details(orders[0].area if of_one else None, tuple(lines))


def with_outcome(details: Details, area: Area, status: Status | None) -> Details:
    """The lines of one of several areas with what became of their order; None: nothing certain. Of one area alone nothing changes."""
    return replace(details, lines=tuple(replace(line, status=status) if line.area == area else line for line in details.lines))


def without_outcomes(details: Details) -> Details:
    """As if no order were settled yet."""
    return replace(details, lines=tuple(replace(line, status=None) if line.area else line for line in details.lines))


class Answer(Struct, frozen=True):
    """One status of one message; `dry_run` marks answers about simulations."""

    status: Status
    details: Details | None = None
    error: Refusal | None = None
    dry_run: bool = False
