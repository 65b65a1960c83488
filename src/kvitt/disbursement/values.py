"""The words of the rules as frozen values: what a payment, a period, an order and its lines are.

Design §2 names them; the wire's words are mapped in the contracts and rails. Dates are calendar days.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Final, NewType, Self

from msgspec import UNSET, Struct, UnsetType, field

from kvitt.kernel.money import Kroner

CaseId = NewType("CaseId", str)
DecisionId = NewType("DecisionId", str)
PaymentId = NewType("PaymentId", str)
"""UUID as lower-case text with dashes."""
LineId = NewType("LineId", str)
"""Raw line id: UUID text, or a text from an older system; the rail sees it Base64-encoded."""
OrderId = NewType("OrderId", str)
Area = NewType("Area", str)
"""The rail's posting area, e.g. `DP` or `TILLSTPB`."""
NORWEGIAN_KRONER: Final = "NOK"
PERSON_DIGITS: Final = 11
"""Of a person's number. An organisation's has nine, and rightly is paid by many cases."""


class Scheme(StrEnum):
    """Benefit systems that own cases; the value is the scheme's name on the wire (helved §2.4).

    SYKEPENGER is heard on the rapid, as needs with lines of its own; it has neither benefits nor topics of its own (rapid §2).
    """

    DAGPENGER = "DAGPENGER"
    AAP = "AAP"
    TILLEGGSSTONADER = "TILLEGGSSTØNADER"
    TILTAKSPENGER = "TILTAKSPENGER"
    HISTORISK = "HISTORISK"
    VALP = "VALP"
    SYKEPENGER = "SYKEPENGER"


class RateType(StrEnum):
    """Units that an amount is paid per; the value is how the store has it."""

    DAY = "day"
    WEEKDAY = "weekday"
    MONTH = "month"
    ONE_OFF = "one_off"


class Action(StrEnum):
    """Kinds of changes that the last accepted order made to a payment."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class Benefit(Struct, frozen=True):
    """A kind of payment in the catalogue; `class_code` is empty for kinds that can only be read, not paid."""

    scheme: Scheme
    name: str
    class_code: str
    area: Area
    may_use_umbrella_area: bool


class Period(Struct, frozen=True, gc=False, omit_defaults=True):
    """One amount from `start` to `end`, both included; `decided_rate` is the full rate of the decision.

    `rate_type` is given where it is not that of the payment, `line` where the line that pays it is kept by period (iverksetting §2.3).
    """

    start: date
    end: date
    amount: Kroner = field(name="amount_kroner")
    office: str | None = None
    decided_rate: Kroner | None = field(default=None, name="decided_rate_kroner")
    rate_type: RateType | None = None
    line: LineId | None = None


class HoldBackCause(StrEnum):
    """`årsak`; the values keep these words as they are."""

    SETTLEMENT = "AVVENT_AVREGNING"
    REIMBURSEMENT = "AVVENT_REFUSJONSKRAV"


class HoldBack(Struct, frozen=True, omit_defaults=True):
    """Money of these days that the rail shall keep until `transferred_on` or a release (helved §2.4)."""

    start: date
    end: date
    transferred_on: date | None = None
    cause: str | None = None
    registered_by_mistake: bool = False


class HoldBackShape(Struct, frozen=True):
    """A hold-back as contracts read and write it in JSON (`avvent`, helved §2.4, iverksetting §3.1)."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    transferred_on: date | None = field(name="overføres", default=None)
    cause: HoldBackCause | None = field(name="årsak", default=None)
    registered_by_mistake: bool = field(name="feilregistrering", default=False)

    @classmethod
    def of(cls, held: HoldBack) -> Self:
        """The shape of a hold-back."""
        cause = HoldBackCause(held.cause) if held.cause else None
        return cls(held.start, held.end, held.transferred_on, cause, held.registered_by_mistake)

    def value(self) -> HoldBack:
        """The hold-back as the rules know it, its cause as plain text."""
        return HoldBack(self.start, self.end, self.transferred_on, self.cause and self.cause.value, self.registered_by_mistake)


class Payment(Struct, frozen=True, gc=False):
    """One independently correctable series of periods, as decided by one message and, once a receipt accepts it, as the truth.

    `last_line` is the id of the last line of its chain at the rail, `last_sent` that line as it was sent (helved §2.7).
    A payment with action DELETE pays nothing; its periods are those it had before. One that lives and has no periods was taken over
    from another hub, which did not say what it pays. `reporting_card` is a part of the key of a chain across decisions, where it has one.
    """

    original_key: str
    area: Area
    payment_id: PaymentId
    action: Action
    first_of_case: bool
    case_id: CaseId
    decision_id: DecisionId
    last_line: LineId
    last_sent: Period | None
    person: str
    decided_at: str
    benefit: str
    approver: str
    caseworker: str
    rate_type: RateType
    hold_back: HoldBack | None
    periods: tuple[Period, ...]
    currency: str = NORWEGIAN_KRONER
    reporting_card: str | UnsetType = UNSET

    def rate_of(self, period: Period) -> RateType:
        """Returns what one of its periods, or its last line, is paid per."""
        return period.rate_type or self.rate_type

    @property
    def wanted(self) -> tuple[Period, ...]:
        """The periods that shall be paid: none once the payment has ceased."""
        return () if self.action is Action.DELETE else self.periods

    @property
    def periods_unknown(self) -> bool:
        """Whether it lives and nobody knows what it pays; only its last line is known."""
        return self.action is not Action.DELETE and not self.periods


class LineChange(StrEnum):
    """Kinds of changes that an order or a line asks of the rail, where its sender says so."""

    NEW = "NY"
    CHANGE = "ENDR"
    NONE = "UEND"


class ForwardedLine(Struct, frozen=True, gc=False):
    """Holds what the sender of a line that it made itself says of it besides what every line has, to the letter.

    `number` counts from 1 in every case, `ref_case` is as received, with its blanks. `ceased` says that the line carries the status OPPH,
    `ceased_from` from which day that holds; either may stand alone. `grade` is a percentage.
    """

    number: int
    ref_number: int | None
    ref_case: str | None
    change: LineChange
    class_from: date | None
    ceased: bool
    ceased_from: date | None
    grade: int | None


class ForwardedOrder(Struct, frozen=True):
    """Holds what the sender of lines of its own says of their order.

    `recipient` is an organisation or a person, `last_day` the last that may be paid.
    """

    change: LineChange
    recipient: str
    last_day: date | None


class LineAtRail(Struct, frozen=True):
    """A line of an order that the rail has, or may have, as its sender made it; `ceased_from` says that it cuts its chain from that day.

    Not `certain`: the order counts as rejected, by an operator's word or by the answer to one of its copies.
    """

    line_id: str
    refers_to: str | None
    class_code: str
    start: date
    end: date
    amount: Kroner
    ceased_from: date | None
    certain: bool = True


class OrderLine(Struct, frozen=True, gc=False):
    """A line of an order: a NEW one (`ceased_from` is None) or a cessation of the last line of a chain, as that was sent."""

    line_id: LineId
    refers_to: LineId | None
    payment_id: PaymentId
    class_code: str
    start: date
    end: date
    amount: Kroner
    decided_rate: Kroner | None
    rate_type: RateType
    ceased_from: date | None
    decided_on: str
    caseworker: str
    approver: str
    decision_id: DecisionId
    forwarded: ForwardedLine | None = None


class Order(Struct, frozen=True, gc=False):
    """All that the rail gets for one case and area; `made_at`, the clock in Oslo local time, is all that is not a function of content.

    `forwarded` is given where the sender made the lines, and then there are no payments. Of a lower `priority` is what may not hold up the
    rest on the queue. `numbered` is how many numbers of its case are used up once it is made; 0 where its lines have none of ours.
    """

    order_id: OrderId
    scheme: Scheme
    area: Area
    case_id: CaseId
    number: int
    is_first_order: bool
    frequency: str
    person: str
    caseworker: str
    office: str | None
    hold_back: HoldBack | None
    made_at: datetime
    lines: tuple[OrderLine, ...]
    payments: tuple[Payment, ...]
    priority: int = 4
    reconciliation_key: int | None = None
    forwarded: ForwardedOrder | None = None
    numbered: int = 0


class Refusal(Struct, frozen=True):
    """A broken rule as a value: what the sender hears. `doc` names the page that explains it."""

    status: int
    text: str
    doc: str
    system: str = "HELVED"


class InvalidForm(Refusal, frozen=True):
    """A refusal of what breaks rules of its form; a contract may be set to leave such a message unanswered."""


class Instruction(Struct, frozen=True):
    """An instruction: all that one message asks of one case, in the values of its contract, before it is compared with what is accepted."""

    @property
    def payee(self) -> str | None:
        """Whose case it is, as far as the message says so; other cases of theirs are looked at before anything is paid."""
        return None
