"""Requests to simulate as rows: made beside a message or for a call, read by whoever waits, listed for operators (design §14).

A request is asked by the role `simulator` (`simulation_role.py`). While a case has an open order none is made for it; while one is asked,
the sender passes its case by.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

import psycopg
from msgspec import Struct

from kvitt.disbursement.case import Case, CaseKey, make_and_lock_cases
from kvitt.disbursement.rail import Rails, SimulatingRail
from kvitt.disbursement.refusals import TOO_MANY_TO_SIMULATE
from kvitt.disbursement.rows import SimulationRow
from kvitt.disbursement.simulation import (
    FailureReason,
    NothingComputed,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
    merged,
)
from kvitt.disbursement.values import Order, Scheme
from kvitt.errors import InvalidOrderMessage, NotFound, TooManyToSimulate
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import Source, fetch, fetch_value, fetch_values
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write

_SQL = load("simulations", "kvitt.disbursement")
_LOOK_SECONDS: Final = 0.02


class SimulationState(StrEnum):
    """Where a request is. The first two are open, the others ends; `refused` was never asked, because the case has an open order."""

    REQUESTED = "requested"
    ASKED = "asked"
    ANSWERED = "answered"
    REFUSED = "refused"
    CLOSED = "closed"
    FAILED = "failed"


SIMULATION_ARCS: Final[Mapping[SimulationState, frozenset[SimulationState]]] = {
    SimulationState.REQUESTED: frozenset(SimulationState) - {SimulationState.REQUESTED, SimulationState.ANSWERED},
    SimulationState.ASKED: frozenset({SimulationState.ANSWERED, SimulationState.CLOSED, SimulationState.FAILED}),
    **dict.fromkeys((SimulationState.ANSWERED, SimulationState.REFUSED, SimulationState.CLOSED, SimulationState.FAILED), frozenset()),
}


class Asker(StrEnum):
    """Who asked: a dry run that came in as a message, a call (or an operator), or the check of a message's orders before they leave."""

    MESSAGE = "message"
    CALL = "call"
    CHECK = "check"


class AskedBy(Struct, frozen=True):
    """By whom a simulation is asked for; `name` makes it one request, however often it is asked for.

    `caller` is an application or an operator.
    """

    asker: Asker
    contract: str
    name: str
    message_no: int | None = None
    caller: str | None = None
    deadline: datetime | None = None


def by_message(contract: str, message_no: int) -> AskedBy:
    """A dry run asks, once."""
    return AskedBy(Asker.MESSAGE, contract, f"message {message_no}", message_no)


def by_call(contract: str, caller: str, deadline: datetime | None = None, call_id: str | None = None) -> AskedBy:
    """A call asks; a call id (None: a new one) that was used before by the same caller names the request that was made then."""
    return AskedBy(Asker.CALL, contract, f"call {caller} {call_id or uuid4()}", None, caller, deadline)


class SimulationQuestionRow(Struct, frozen=True):
    """One order as a question, and what came back; `reason` says why nothing did, or why what did is not read."""

    request_no: int
    place: int
    area: str
    order_id: str | None
    question: bytes
    attempts: int
    status: int | None
    answer: bytes | None
    reason: str | None
    note: str | None
    by_rule: bool

    def outcome(self, rail: SimulatingRail) -> SimulationOutcome | None:
        """The outcome, read again from the raw answer; None while there is none."""
        if self.reason is not None:
            return SimulationFailure(FailureReason(self.reason), self.note or "", by_rule=self.by_rule)
        return None if self.status is None else rail.read_simulation(self.status, self.answer or b"")


class StoredRequest(Struct, frozen=True):
    """A request as it is stored, without its questions."""

    request_no: int
    name: str
    asker: Asker
    contract: str
    message_no: int | None
    caller: str | None
    case_no: int
    scheme: Scheme
    case_id: str
    person: str
    rail: str
    state: SimulationState
    requested_at: datetime
    deadline: datetime | None
    asked_at: datetime | None
    times_asked: int
    ended_at: datetime | None
    reason: str | None
    note: str | None

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.ended_at is None


class RequestWithQuestions(Struct, frozen=True):
    """A request and its questions, in the order of the orders that they are."""

    request: StoredRequest
    questions: tuple[SimulationQuestionRow, ...]

    def outcomes(self, rail: SimulatingRail) -> list[SimulationOutcome]:
        """The outcome of each question that has one."""
        return [outcome for each in self.questions if (outcome := each.outcome(rail)) is not None]

    def outcome(self, rail: SimulatingRail) -> SimulationOutcome | None:
        """The outcome of all of it; None while it is open."""
        if self.request.is_open:
            return None
        if self.request.reason is not None:
            return SimulationFailure(FailureReason(self.request.reason), self.request.note or "")
        return together(self.outcomes(rail))


def together(outcomes: Sequence[SimulationOutcome]) -> SimulationOutcome:
    """Several outcomes as one: the first failure, else all simulations merged, else that nothing was computed."""
    assert outcomes, "a request has a question"
    failures = [each for each in outcomes if isinstance(each, SimulationFailure)]
    simulations = [each for each in outcomes if isinstance(each, Simulation)]
    if failures:
        return failures[0]
    if len(simulations) == 1:
        return simulations[0]
    return merged(simulations) if simulations else next(each for each in outcomes if isinstance(each, NothingComputed))


def state_after(outcome: SimulationOutcome) -> SimulationState:
    """The end that a request comes to with an outcome."""
    if not isinstance(outcome, SimulationFailure):
        return SimulationState.ANSWERED
    return _ENDS.get(outcome.reason, SimulationState.FAILED)


_ENDS: Final[Mapping[FailureReason, SimulationState]] = {
    FailureReason.ORDER_OPEN: SimulationState.REFUSED,
    FailureReason.CLOSED: SimulationState.CLOSED,
    FailureReason.PROXY_CLOSED: SimulationState.CLOSED,
}


def questions_of(rail: SimulatingRail, orders: Sequence[Order]) -> list[bytes] | SimulationFailure:
    """The orders as questions, or why the rail has no form for one of them."""
    try:
        return [rail.encode_simulation(order) for order in orders]
    except TooManyToSimulate:
        return SimulationFailure(FailureReason.NOT_ASKED, TOO_MANY_TO_SIMULATE.text)
    except (InvalidOrderMessage, ValueError) as error:
        return SimulationFailure(FailureReason.NOT_ASKED, f"Oppdraget kan ikke simuleres: {' '.join(str(error).split())[:300]}")


def request_rows(
    asked: AskedBy, case_no: int, rail: str, *, orders: Sequence[Order], questions: Sequence[bytes], now: datetime
) -> list[SimulationRow]:
    """The rows of a request, to be written in the transaction that holds the case's lock; only a check has orders that are made."""
    checked = asked.asker is Asker.CHECK
    return [
        SimulationRow(
            name=asked.name,
            asker=asked.asker.value,
            contract=asked.contract,
            message_no=asked.message_no,
            caller=asked.caller,
            case_no=case_no,
            person=order.person,
            rail=rail,
            requested_at=now,
            deadline=asked.deadline,
            place=place,
            area=order.area,
            order_id=order.order_id if checked else None,
            question=question,
        )
        for place, (order, question) in enumerate(zip(orders, questions, strict=True))
    ]


def open_order_failure(case: Case, now: datetime) -> SimulationFailure | None:
    """Why a case can not be simulated just now; None: it can. `find_open_since` has looked at the case."""
    return SimulationFailure(FailureReason.ORDER_OPEN, _text_of_open(case.open_since, now)) if case.must_queue else None


def tells_of_open_order(text: str) -> bool:
    """Whether a refusal's text is that of a case which can not be simulated just now; all else stands until somebody does something."""
    return text.startswith((_CONTRADICTED, _OPEN))


def _text_of_open(since: datetime | None, now: datetime) -> str:
    if since is None:
        return f"{_CONTRADICTED}, og kan ikke simuleres før det er avklart"
    age = max(timedelta(), now - since)
    return f"{_OPEN} i {_age(age)}, og kan ikke simuleres før det er kvittert"


_CONTRADICTED: Final = "Saken har motstridende svar fra oppdragssystemet"
_OPEN: Final = "Saken har et åpent oppdrag som har ventet på kvittering"


def _age(age: timedelta) -> str:
    """A length of time in its greatest unit."""
    seconds = int(age.total_seconds())
    for size, one, many in ((86_400, "døgn", "døgn"), (3_600, "time", "timer"), (60, "minutt", "minutter")):
        if seconds >= size:
            return f"{seconds // size} {one if seconds // size == 1 else many}"
    return f"{seconds} {'sekund' if seconds == 1 else 'sekunder'}"


class CaseOpenSince(Struct, frozen=True):
    """A case, and when its oldest open order was made."""

    case_no: int
    made_at: datetime


def find_open_since(cursor: psycopg.Cursor[Any], cases: Iterable[Case]) -> None:
    """Tells these locked cases since when they have an open order. Asks nothing where none has one."""
    by_number = {case.case_no: case for case in cases if case.open_orders}
    for each in fetch(cursor, CaseOpenSince, _SQL.open_since, [list(by_number)]) if by_number else ():
        by_number[each.case_no].open_since = each.made_at


def request(
    connection: Connection, rails: Rails, key: CaseKey, asked: AskedBy, orders: Sequence[Order], *, now: datetime
) -> int | SimulationFailure:
    """Asks for a simulation of these orders, which are never made, and returns the number of the request; or why it is not asked.

    Locks the case: while it has an open order there is none. Under a name that was used before it returns the request of then. Raises
    psycopg errors.
    """
    rail = rails.simulating(key[0])
    if rail is None:
        return SimulationFailure(FailureReason.NOT_ASKED, "the rail does not simulate")
    questions = questions_of(rail, orders)
    if isinstance(questions, SimulationFailure):
        return questions
    with connection.transaction(), connection.cursor() as cursor:
        (case,) = make_and_lock_cases(cursor, [key])
        if (known := fetch_value(cursor, _SQL.request_named, (asked.name,))) is not None:
            return int(known)
        find_open_since(cursor, [case])
        if failure := open_order_failure(case, now):
            return failure
        write(cursor, request_rows(asked, case.case_no, rail.name, orders=orders, questions=questions, now=now))
        return int(fetch_value(cursor, _SQL.request_named, (asked.name,)))


def ask_again(connection: Connection, request_no: int, operator: Operator, now: datetime) -> int:
    """The same questions once more for an operator, as a new request, whose number it returns.

    Nobody else hears of the outcome: what was answered stays answered. Raises NotFound.
    """
    name = by_call("kvitt", operator.name).name
    arguments = {"request_no": request_no, "name": name, "caller": operator.name, "now": now}
    with transaction(connection, "simulation"), connection.cursor() as cursor:
        found = fetch_value(cursor, _SQL.ask_again, arguments)
        if found is None:
            raise NotFound(f"no simulation has the number {request_no}")
        note(cursor, now, "simulate again", operator, f"simulation {request_no}")
    return int(found)


def ended(connection: Connection, numbers: Sequence[int]) -> list[RequestWithQuestions]:
    """Those of these requests that are at their end."""
    return read_all(connection, fetch_values(connection, _SQL.ended_among, [list(numbers)]))


def read(connection: Connection, request_no: int) -> RequestWithQuestions | None:
    """A request with its questions and answers as they stand; None: there is none."""
    return next(iter(read_all(connection, [request_no])), None)


def read_all(source: Source, numbers: Sequence[int]) -> list[RequestWithQuestions]:
    """Those of these requests that there are, by number, with their questions and answers as they stand."""
    if not numbers:
        return []
    found = fetch(source, StoredRequest, _SQL.requests_by_number, [list(numbers)], asker=Asker, scheme=Scheme, state=SimulationState)
    questions: dict[int, list[SimulationQuestionRow]] = {}
    for each in fetch(source, SimulationQuestionRow, _SQL.questions_of_requests, [list(numbers)]):
        questions.setdefault(each.request_no, []).append(each)
    return [RequestWithQuestions(each, tuple(questions[each.request_no])) for each in found]


def wait(connection: Connection, request_no: int, seconds: float) -> RequestWithQuestions | None:
    """The request at its end, or as it stands when so many seconds have passed; no transaction is open meanwhile."""
    until = time.monotonic() + seconds
    while not fetch_value(connection, _SQL.has_ended, (request_no,)) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return read(connection, request_no)


def listing(
    connection: Connection,
    *,
    state: SimulationState | None = None,
    key: tuple[Scheme, str] | None = None,
    message_no: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[StoredRequest]:
    """The newest requests, newest first, as far as they are of this state, case and message, and have a lower number than `before`."""
    arguments = {
        "state": state and state.value,
        "scheme": key and key[0].value,
        "case_id": key and key[1],
        "message_no": message_no,
        "before": before,
        "limit": limit,
    }
    return fetch(connection, StoredRequest, _SQL.list_requests, arguments, asker=Asker, scheme=Scheme, state=SimulationState)
