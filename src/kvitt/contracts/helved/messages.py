"""The six input forms as values with English names; `read.py` makes them from JSON (helved §2.6).

Every form is the sender's word for what shall be paid; `read.py` turns it into instructions.
"""

from datetime import date
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from kvitt.disbursement.values import HoldBack, RateType
from kvitt.kernel.money import Kroner


class MessageHeader(Struct, frozen=True):
    """The part that every form has. `decided_at` is local date-time text in its shortest form, e.g. `2025-07-04T09:15:30`."""

    case_id: str
    decision_id: str
    person: str
    decided_at: str
    dry_run: bool
    caseworker: str | None
    approver: str | None


class DpKind(StrEnum):
    """Kinds of days of dagpenger; the value is the word on the wire."""

    DAGPENGER = "Dagpenger"
    HOLIDAY_SUPPLEMENT = "DagpengerFerietillegg"


class DpDay(Struct, frozen=True, gc=False):
    """One day of a reporting period; `amount` is what is paid that day, in kroner."""

    reporting_period: str
    day: date
    decided_rate: Kroner
    amount: Kroner
    kind: DpKind


class DpMessage(Struct, frozen=True):
    """Dagpenger: the whole case, one entry per day."""

    header: MessageHeader
    days: tuple[DpDay, ...]


class AapEntry(Struct, frozen=True):
    """A span of days of one payment (one reporting card); several entries may share the payment."""

    payment_id: UUID
    start: date
    end: date
    decided_rate: Kroner
    amount: Kroner


class AapMessage(Struct, frozen=True):
    """AAP: the whole case."""

    header: MessageHeader
    entries: tuple[AapEntry, ...]
    hold_back: HoldBack | None


class Span(Struct, frozen=True):
    """From, to, amount and paying office, as given."""

    start: date
    end: date
    amount: Kroner
    office: str | None = None


class TsPayment(Struct, frozen=True):
    """One supplementary benefit; no spans means that it ceases."""

    payment_id: UUID
    benefit: str
    spans: tuple[Span, ...]
    use_umbrella_area: bool


class TsMessage(Struct, frozen=True):
    """Tilleggsstønader: only the payments that are named are touched."""

    header: MessageHeader
    rate_type: RateType
    payments: tuple[TsPayment, ...]


class TpEntry(Struct, frozen=True):
    """A span of one reporting period and benefit; with `with_children` it belongs to the benefit's twin for child supplement."""

    reporting_period: str
    start: date
    end: date
    amount: Kroner
    office: str | None
    with_children: bool
    benefit: str


class TpMessage(Struct, frozen=True):
    """Tiltakspenger: the whole case."""

    header: MessageHeader
    entries: tuple[TpEntry, ...]


class HistoriskMessage(Struct, frozen=True):
    """One payment; no spans means that it ceases."""

    header: MessageHeader
    payment_id: UUID
    benefit: str
    rate_type: RateType
    spans: tuple[Span, ...]


class ValpMessage(Struct, frozen=True):
    """One payment with one period; amount 0 means that it ceases. `benefit` is measure code + `_` + kind of grant."""

    header: MessageHeader
    payment_id: UUID
    benefit: str
    span: Span


StreamMessage = DpMessage | AapMessage | TsMessage | TpMessage | HistoriskMessage | ValpMessage
