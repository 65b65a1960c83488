"""Needs of the rapid as values: one order whose lines the sender made, to be forwarded as they are (rapid §2.1, §2.2).

Money is whole kroner, negative for a deduction. Nothing is derived here: who asks for a cessation or a reference has made it.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

import msgspec
from msgspec import Struct

from kvitt.disbursement.derive.forwarded import HOLIDAY_PAY_CODES
from kvitt.disbursement.derive.micro_chained import MAX_LINES
from kvitt.disbursement.values import (
    Area,
    CaseId,
    Instruction,
    LineChange,
    PaymentId,
    RateType,
)
from kvitt.kernel.money import Kroner

Rate = Literal["DAG", "ENG"]
"""What a line's amount is paid per, as on the wire and at the rail: the day, or once."""

BULK_PRIORITY: Final = 3
ORDINARY_PRIORITY: Final = 4

MAX_NEED_LINES: Final = MAX_LINES
MAX_RATE: Final = 99_999_999_999
"""Whole kroner of a line: eleven digits are what the rail has room for before the decimals."""
MAX_GRADE: Final = 999
_COUNTED_FROM: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NeedKind(StrEnum):
    """The needs that ask for money; the value is the need's name, and the name of the object that describes it."""

    PAYMENT = "Utbetaling"
    HOLIDAY_PAY = "Feriepengeutbetaling"


RATE_OF: Final[Mapping[NeedKind, Rate]] = {NeedKind.PAYMENT: "DAG", NeedKind.HOLIDAY_PAY: "ENG"}
"""The only rate that the lines of a need may have (rapid §2.1, §2.2)."""
RATE_TYPES: Final[Mapping[Rate, RateType]] = {"DAG": RateType.WEEKDAY, "ENG": RateType.ONE_OFF}


class NeedLine(Struct, frozen=True):
    """A line as its sender made it. `line_id` counts from 1 in every case; `ref_case` is as received, with its blanks.

    `ceased` says that the line carries the status OPPH, `ceased_from` from which day that holds; the wire lets either stand alone.
    """

    start: date
    end: date
    change: LineChange
    amount: Kroner
    rate: Rate
    line_id: int
    ref_line: int | None
    ref_case: str | None
    class_code: str
    class_from: date | None
    ceased_from: date | None
    ceased: bool
    grade: int | None


class Need(Instruction, frozen=True):
    """A need that keeps all rules of its form. `case_id` is the trimmed fagsystemId, `payment_id` the utbetalingId in lower case.

    `recipient` is an organisation for the area SPREF and a person for SP; `last_day` is maksdato. No lines means: nothing to do.
    """

    kind: NeedKind
    person: str
    organisation: str
    payment_id: PaymentId
    case_id: CaseId
    area: Area
    change: LineChange
    caseworker: str
    recipient: str
    last_day: date | None
    lines: tuple[NeedLine, ...]

    @property
    def payee(self) -> str:
        """The person of the case, whoever is paid for them."""
        return self.person


def total(need: Need) -> int:
    """The plain sum of the lines' rates, in whole kroner, whatever number of days they stand for (rapid §2.4)."""
    return sum(line.amount for line in need.lines)


def priority(need: Need) -> int:
    """The priority of the order on the queue: lower for holiday pay, so that its bulk does not block the rest (rapid §3.2)."""
    return BULK_PRIORITY if any(line.class_code in HOLIDAY_PAY_CODES for line in need.lines) else ORDINARY_PRIORITY


def reconciliation_key(instant: datetime, message_no: int) -> int:
    """The key of an order made at that instant, in nanoseconds since 1970 (rapid §2.8); fits 64 bits until the year 2262.

    A clock of ours has microseconds; the three digits below them are those of the message, so that neighbours differ.
    """
    microseconds = (instant - _COUNTED_FROM) // timedelta(microseconds=1)
    return microseconds * 1000 + message_no % 1000


def digest_of(need: Need) -> bytes:
    """SHA-256 of what is asked for, kind included: two needs with the same digest ask for the same.

    It is stored with the need, so a renamed or added field makes every stored one differ from its repeat.
    """
    return hashlib.sha256(msgspec.json.encode(need)).digest()
