"""The six input forms as values with English names; `read.py` makes them from JSON (helved §2.6).

Every form is the sender's word for what shall be paid; `read.py` turns it into instructions. Entries that need nothing but other names are
decoded as they are here: a case may have thousands of them.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from kvitt.disbursement.values import HoldBack, RateType
from kvitt.kernel.money import Kroner

Amount = Annotated[Kroner, Meta(ge=0, le=4_294_967_295)]
"""An amount as the stream contract lets it be."""


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

    reporting_period: str = field(name="meldeperiode")
    day: date = field(name="dato")
    decided_rate: Amount = field(name="sats")
    amount: Amount = field(name="utbetaltBeløp")
    kind: DpKind = field(name="utbetalingstype")


class DpMessage(Struct, frozen=True):
    """Dagpenger: the whole case, one entry per day."""

    header: MessageHeader
    days: tuple[DpDay, ...]


class AapEntry(Struct, frozen=True):
    """A span of days of one payment (one reporting card); several entries may share the payment."""

    payment_id: UUID = field(name="id")
    start: date = field(name="fom")
    end: date = field(name="tom")
    decided_rate: Amount = field(name="sats")
    amount: Amount = field(name="utbetaltBeløp")


class AapMessage(Struct, frozen=True):
    """AAP: the whole case."""

    header: MessageHeader
    entries: tuple[AapEntry, ...]
    hold_back: HoldBack | None


class Span(Struct, frozen=True):
    """From, to, amount and paying office, as given."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Amount = field(name="beløp")
    office: str | None = field(name="betalendeEnhet", default=None)


class TsPayment(Struct, frozen=True):
    """One supplementary benefit; no spans means that it ceases."""

    payment_id: UUID = field(name="id")
    benefit: str = field(name="stønad")
    spans: tuple[Span, ...] = field(name="perioder")
    use_umbrella_area: bool = field(name="brukFagområdeTillst", default=False)


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
