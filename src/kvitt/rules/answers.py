"""What a sender is told: status, details per order line, error (helved_stream §2.8)."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from operator import attrgetter

from msgspec import Struct

from kvitt.rules.values import Area, DecisionId, Order, OrderLine, Refusal


class Status(StrEnum):
    """The states a sender sees for one key."""

    RECEIVED = "MOTTATT"
    WITH_RAIL = "HOS_OPPDRAG"
    OK = "OK"
    FAILED = "FEILET"


class DetailLine(Struct, frozen=True):
    """One order line as the sender sees it; the amount of a cessation is 0."""

    decision_id: DecisionId
    start: date
    end: date
    decided_rate: int | None
    amount: int
    class_code: str


class Details(Struct, frozen=True):
    """The lines of an answer, sorted by first day. `area` is None when the orders of one message are in several areas."""

    area: Area | None
    lines: tuple[DetailLine, ...]


def _detail(line: OrderLine) -> DetailLine:
    amount = line.amount if line.ceased_from is None else 0
    return DetailLine(line.decision_id, line.start, line.end, line.decided_rate, amount, line.class_code)


def details_of(orders: Sequence[Order]) -> Details:
    """What the sender is told of the orders of one message: their lines by first day, those of a day in order of sending."""
    lines = sorted((_detail(line) for order in orders for line in order.lines), key=attrgetter("start"))
    return Details(orders[0].area if len(orders) == 1 else None, tuple(lines))


class Answer(Struct, frozen=True):
    """One status of one message; `dry_run` marks answers about simulations."""

    status: Status
    details: Details | None = None
    error: Refusal | None = None
    dry_run: bool = False


class Grade(StrEnum):
    """Severity of a receipt; UNKNOWN stands for a missing or unheard-of one (design §12)."""

    OK = "00"
    WARNING = "04"
    REJECTED = "08"
    TECHNICAL = "12"
    UNKNOWN = "?"


class LineKey(Struct, frozen=True):
    """What a receipt says of one line, trimmed: enough to know which order it answers, whatever the echo looks like."""

    line_id: str
    ceased_from: str | None


class Receipt(Struct, frozen=True):
    """The rail's answer, by business ids. `grade_text` is the severity as it came, `text` the rail's words (may be empty).

    `others` is what else the rail said about its answer, as (name, text): which system, program and database error it came from.
    """

    area: Area
    case_id: str
    stamp: str
    lines: tuple[LineKey, ...]
    grade: Grade
    grade_text: str
    code: str
    text: str
    others: tuple[tuple[str, str], ...] = ()
