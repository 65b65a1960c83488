"""The answer to a sender: status, details per order line, error (helved §2.8)."""

from datetime import date
from enum import StrEnum

from msgspec import Struct

from kvitt.disbursement.values import (
    Area,
    DecisionId,
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


class Answer(Struct, frozen=True):
    """One status of one message; `dry_run` marks answers about simulations."""

    status: Status
    details: Details | None = None
    error: Refusal | None = None
    dry_run: bool = False
