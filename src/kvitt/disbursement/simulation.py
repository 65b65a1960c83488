"""Simulations as values: the rows that a rail says an order would lead to, or why it does not say.

Rails read their answers into these, contracts write them in their forms (design §14). Nothing here knows a wire.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import date
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.values import Area, RateType, Scheme
from kvitt.kernel.money import Kroner, Minor


class SimulatedKind(StrEnum):
    """Kinds of rows in a simulation. The rail's own name of a row's kind is kept beside it."""

    PAY = "pay"
    """Positive: what a day will be paid; negative: what was paid for it before."""
    RECOVERY = "recovery"
    """Positive: paid too much, to be had back; negative: an earlier one that falls away."""
    ADJUSTMENT = "adjustment"
    """Moves money between months, or between cases."""
    COUNTER = "counter"
    TAX = "tax"
    DEDUCTION = "deduction"
    OTHER = "other"


class SimulatedPosting(Struct, frozen=True):
    """One row. `rate` is in øre; `rate_type` None: the rail names none, or one that no order has. `is_reversal` is the rail's own mark."""

    start: date
    end: date
    amount: Kroner
    kind: SimulatedKind
    raw_kind: str
    class_code: str
    class_text: str = ""
    account: str = ""
    is_reversal: bool = False
    rate: Minor = Minor(0)
    rate_type: RateType | None = None
    raw_rate_type: str = ""
    rate_count: int = 0
    grade: int = 0
    refunded_to: str = ""


class SimulatedPayment(Struct, frozen=True):
    """The rows of one recipient and one case in a period; the area may be one that kvitt does not know."""

    area: str
    case_id: str
    recipient: str
    postings: tuple[SimulatedPosting, ...]
    recipient_name: str = ""
    due_on: date | None = None
    on_error_account: bool = False


class SimulatedPeriod(Struct, frozen=True):
    """Days of one month, with everything that the rail would pay for them."""

    start: date
    end: date
    payments: tuple[SimulatedPayment, ...]


class Simulation(Struct, frozen=True):
    """The rail's account of an order that it would carry out. `total` is its own sum of all rows, also of the person's other cases."""

    person: str
    computed_on: date
    total: Kroner
    periods: tuple[SimulatedPeriod, ...]
    person_name: str = ""


class NothingComputed(Struct, frozen=True):
    """The rail took the order and would pay nothing; `text` is what it said about that, if anything."""

    text: str = ""


class FailureReason(StrEnum):
    """Why there is no simulation."""

    NOT_ASKED = "not asked"
    """The order has no form as a question, or is too long for one."""
    ORDER_OPEN = "order open"
    """The case has an order at the rail, or on its way there."""
    CLOSED = "closed"
    """It did not answer, and not within its hours."""
    PROXY_CLOSED = "closed, by the proxy"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed out"
    NO_ANSWER = "no answer"
    BROKEN_OFF = "broken off"
    NO_TOKEN = "no token"  # noqa: S105 - a reason, no secret
    NOT_AUTHENTICATED = "not authenticated"
    OTHER_STATUS = "other status"
    """Something on the way to it answered, and not it."""
    FOREIGN_PAGE = "foreign page"
    EMPTY_ENVELOPE = "empty envelope"
    UNKNOWN_ANSWER = "unknown answer"
    UNREADABLE = "unreadable"
    PERSON_UNKNOWN = "person unknown"
    CASE_UNKNOWN = "case unknown"
    LINE_UNKNOWN = "line unknown"
    ORDER_EXISTS = "order exists"
    LINE_EXISTS = "line exists"
    NEEDS_NEW_DECISION = "needs a new decision"
    INVALID = "invalid"
    NO_PAYMENT_RUN = "no payment run"
    """The rail has no run planned that would pay these days."""
    BROKEN_RULE = "broken rule"
    """A rule of the rail that has no reason of its own here."""
    REQUEST_NOT_TAKEN = "request not taken"
    LOCKED = "locked"
    RAIL_FAILED = "rail failed"
    NOTHING_MADE = "nothing made"
    """It took the request and made no answer, as it does at opening and closing time."""
    UNKNOWN_FAULT = "unknown fault"
    OUR_FAULT = "our fault"
    """kvitt itself failed on it."""


class FaultPart(Struct, frozen=True):
    """An element of what a rail says about a fault: a text, or further parts."""

    name: str
    text: str = ""
    parts: tuple["FaultPart", ...] = ()


class RailFault(Struct, frozen=True):
    """A fault in the rail's words, trimmed."""

    code: str
    text: str
    detail: tuple[FaultPart, ...] = ()

    def part(self, name: str) -> FaultPart | None:
        """The part of that name on the first level."""
        return next((part for part in self.detail if part.name == name), None)


class SimulationFailure(Struct, frozen=True):
    """There is no simulation, and why. `by_rule`: a rule of the rail refuses the order, in the words of `text`."""

    reason: FailureReason
    text: str
    fault: RailFault | None = None
    by_rule: bool = False


SimulationOutcome = Simulation | NothingComputed | SimulationFailure
"""The three ends that a question to a rail can have."""


class AskedSimulation(Struct, frozen=True):
    """The outcome of a question, with what is kept of the answer: the HTTP status and the bytes as they came, if any did.

    `at_work`: the rail has the question, for all that is known, and may be at work on it still.
    """

    outcome: SimulationOutcome
    status: int | None = None
    answer: bytes = b""
    attempts: int = 1
    at_work: bool = False


class Again(Struct, frozen=True):
    """When a contract has a question asked again: after these waits, as long as the outcome is one for `after`."""

    waits_seconds: tuple[float, ...] = ()
    after: Callable[[SimulationOutcome], bool] = lambda _: False


ONCE: Final = Again()


class Simulator(Protocol):
    """Asks one rail; the questions are those that the rail's `encode_simulation` makes. Safe for use by several threads."""

    def ask(self, question: bytes, *, seconds: float | None = None, again: Again = ONCE) -> "Future[AskedSimulation]":
        """Asks a question; the outcome is there in at most as many seconds (None: as set up). Cancelling takes the question back."""

    def close(self) -> None:
        """Takes back what is under way, and closes the connections."""


class LeftOut(Struct, frozen=True):
    """A case of the same person that a simulation holds besides the one that was asked about."""

    area: str
    case_id: str


def of_case(simulation: Simulation, scheme: Scheme, case_id: str) -> tuple[Simulation, tuple[LeftOut, ...]]:
    """A simulation without other cases of the person and without areas that are not the scheme's, and what was left out (design §12).

    Periods of which nothing is left are gone. The total stays the rail's.
    """
    left_out: dict[LeftOut, None] = {}
    periods = []
    for period in simulation.periods:
        own = []
        for payment in period.payments:
            if payment.case_id == case_id and _is_of(payment.area, scheme):
                own.append(payment)
            else:
                left_out[LeftOut(payment.area, payment.case_id)] = None
        if own:
            periods.append(replace(period, payments=tuple(own)))
    return replace(simulation, periods=tuple(periods)), tuple(left_out)


def merged(simulations: Sequence[Simulation]) -> Simulation:
    """Several simulations of one question as one: its areas are asked about one by one. Periods of the same days become one."""
    payments: dict[tuple[date, date], list[SimulatedPayment]] = {}
    for simulation in simulations:
        for period in simulation.periods:
            payments.setdefault((period.start, period.end), []).extend(period.payments)
    periods = [SimulatedPeriod(start, end, tuple(of_days)) for (start, end), of_days in payments.items()]
    total = Kroner(sum(each.total for each in simulations))
    computed_on = max(each.computed_on for each in simulations)
    return replace(simulations[0], computed_on=computed_on, total=total, periods=tuple(periods))


def _is_of(area: str, scheme: Scheme) -> bool:
    terms = AREAS.get(Area(area))
    return terms is not None and terms.scheme is scheme
