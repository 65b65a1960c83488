"""An order as the rail reads it, and what its books know of a case: values only."""

import re
from datetime import date
from enum import Enum
from typing import Final, NamedTuple

from msgspec import Struct


class CaseAtRail(NamedTuple):
    """The identity of an order-110 at the rail: posting area and case id as on the wire."""

    area: str
    case_id: str

    @property
    def areas(self) -> str:
        """A pattern of all areas that a case with orders in this one may have orders in: under one case id they are one case."""
        spread = next((areas for areas in _SPREAD if re.search(areas, self.area)), "")
        return spread or f"^{re.escape(self.area)}$"


_SPREAD: Final = ("^TILLST", "^(SP|SPREF)$")
"""Benefits whose cases have orders in several areas; all others have one of their own."""


class ChangeCode(Enum):
    """Kinds of changes that an order or a line asks for, as on the wire."""

    NEW = "NY"
    CHANGE = "ENDR"
    NONE = "UEND"


class ReceivedLine(Struct, frozen=True):
    """A line-150. Amounts are whole kroner, negative for a deduction; texts that are absent are empty.

    `payee` is who gets the money: the employer of a refund, else `utbetalesTilId`; `grade` its per cent, where there is one.
    """

    change: ChangeCode
    status: str
    status_from: date | None
    line_id: str
    class_code: str
    class_from: date | None
    starts: date
    ends: date | None
    amount: int
    rate_code: str
    decided_rate: int | None
    ref_case: str
    ref_line: str
    payee: str = ""
    grade: int | None = None


class ReceivedHoldBack(Struct, frozen=True):
    """An avvent-118: money the rail keeps for now, until it is transferred or registered as an error."""

    starts: date | None
    ends: date | None
    transfers_on: date | None
    is_error: bool


class ReceivedOrder(Struct, frozen=True):
    """An order-110 that is valid by its schema."""

    case: CaseAtRail
    action: str
    change: ChangeCode
    person: str
    hold_backs: tuple[ReceivedHoldBack, ...]
    lines: tuple[ReceivedLine, ...]


class LineEntry(Struct, frozen=True):
    """An accepted line in the books: a new line, or the cessation of its chain from `ceased_from` on.

    `chain` is the id of the first line of the chain; `payee` is empty where the line named nobody.
    """

    case: CaseAtRail
    chain: str
    line_id: str
    starts: date
    ends: date
    amount: int
    rate_code: str
    class_code: str
    decided_rate: int | None
    ceased_from: date | None
    payee: str = ""
    grade: int | None = None


class EmulatedAnswer(Struct, frozen=True):
    """The content of a receipt's mmel (helved §4.5); empty texts are left out."""

    severity: str
    text: str = ""
    code: str = ""
    program: str = ""
    section: str = ""
