"""Simulate: requests are taken, asked outside any transaction, and ended, each step its own commit (design §14).

A request is taken under the lock of its case: no order of the case is open then, and while the request is asked the sender passes the
case by. Whatever breaks off in between is asked again by the next simulator, whose request it then is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from msgspec import Struct

from kvitt.disbursement.case import Case, CaseKey, lock_free_cases
from kvitt.disbursement.events import MessageInProgress, SimulationEnded
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.receipts import lock_messages
from kvitt.disbursement.rows import MessageStep
from kvitt.disbursement.simulation import AskedSimulation, FailureReason, SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_requests import (
    Asker,
    RequestWithQuestions,
    find_open_since,
    open_order_failure,
    read_all,
    state_after,
    together,
)
from kvitt.disbursement.states import MessageState, What
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork
from kvitt.disbursement.values import Scheme
from kvitt.errors import LeaseLost
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import Clock, oslo
from kvitt.kernel.database import Connection, may_pass
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.leases import Lease, hold
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.queries import load

_SQL = load("simulations", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_private = structlog.get_logger("kvitt.restricted")
RAIL_SECONDS: Final = 120.0
"""The longest that senders of any contract wait for the rail's answer."""
_MOST_TIMES: Final = 5
"""A request that broke off so often is not asked once more: it may be what breaks the simulator."""

_OVERDUE_AT_ONCE: Final = 500


class EndedRequest(Struct, frozen=True):
    """A request with the outcome that it comes to; `answers` are those of its first questions, all that were asked.

    `at_work`: the rail may be at work on one of them still.
    """

    found: RequestWithQuestions
    outcome: SimulationOutcome
    answers: tuple[AskedSimulation, ...] = ()
    at_work: bool = False

    @classmethod
    def by(cls, found: RequestWithQuestions, answers: Sequence[AskedSimulation]) -> "EndedRequest":
        """The end that its answers bring it to."""
        at_work = any(each.at_work for each in answers)
        return cls(found, together([each.outcome for each in answers]), tuple(answers), at_work)

    @classmethod
    def without_answer(cls, found: RequestWithQuestions, reason: FailureReason, text: str, *, at_work: bool) -> "EndedRequest":
        """It was asked, and nobody knows what came of that."""
        return cls(found, SimulationFailure(reason, text), at_work=at_work)


CheckEnded = Callable[[psycopg.Cursor[Any], UnitOfWork, Case, EndedRequest, datetime], None]
"""Hears of a check that has ended, under the lock of its case, in the transaction that ends it."""


class RequestsToAsk(Struct, frozen=True):
    """Requests that were taken to be asked, and how many others were ended instead, such as those of cases with an open order.

    `left` are to be ended when whoever has locked their cases lets go of them.
    """

    to_ask: tuple[RequestWithQuestions, ...]
    ended: int
    left: tuple[EndedRequest, ...] = ()


class _WaitingRequest(NamedTuple):
    request_no: int
    case_no: int
    scheme: Scheme
    case_id: str


def nobody_checks(*_: object) -> None:
    """Hears of checks where there are none."""


class Simulate:
    """The steps of simulating over one rail, on one connection and under one lease, whose fencing token every write carries."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        ports: Ports,
        lease: Lease,
        term: int,
        *,
        rail: str,
        wait_seconds: float,
        rail_seconds: float = RAIL_SECONDS,
        on_check: CheckEnded = nobody_checks,
    ) -> None:
        """`term` distinguishes the attempts of one owner. Who waits longer than `wait_seconds` for its turn is answered without it.

        The rail is done after `rail_seconds` with what it was at work on when nobody listened any more.
        """
        self._connection, self._clock, self._ports, self._lease, self._rail = connection, clock, ports, lease, rail
        self._simulator, self._on_check = f"{lease.name}:{lease.token}:{term}", on_check
        self._longest_wait, self._longest_work = timedelta(seconds=wait_seconds), timedelta(seconds=rail_seconds)
        self._locked_cases = 0
        """Found when requests were taken last: so many more are looked at next time, so that they take no place of others."""

    def take_over(self) -> RequestsToAsk:
        """Takes what a simulator before us had begun to ask, to be asked again. Raises LeaseLost."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            until = self._clock() + self._longest_work
            arguments = {"rail": self._rail, "simulator": self._simulator, "at_work_until": until}
            numbers = fetch_values(self._connection, _SQL.take_over, arguments)
            found = read_all(self._connection, numbers)
        if found:
            _log.warning("simulations broke off, and are asked again", simulations=len(found))
        tired = [each for each in found if each.request.times_asked > _MOST_TIMES]
        why = "it broke off every time it was asked"
        broken = [EndedRequest.without_answer(each, FailureReason.BROKEN_OFF, why, at_work=True) for each in tired]
        left = tuple(self.end(broken))
        return RequestsToAsk(tuple(each for each in found if each not in tired), len(broken) - len(left), left)

    def take(self, limit: int, but: Collection[int] = ()) -> RequestsToAsk:
        """Takes up to `limit` requests, oldest first, one for each case; they are `asked` when this returns. Raises LeaseLost.

        Those of cases with an open order are refused at once, those that waited too long are answered so. Cases that somebody else has
        locked, and the numbers in `but`, are left.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            arguments = {"rail": self._rail, "but": list(but), "limit": limit + self._locked_cases}
            found = fetch(cursor, _WaitingRequest, _SQL.candidates, arguments, scheme=Scheme)
            if not found:
                return RequestsToAsk((), 0)
            hold(cursor, self._lease)
            to_ask, refused = self._take(cursor, found, limit)
            fault_point("simulate.before_take_commit")
        fault_point("simulate.after_take_commit")
        # By themselves, so that one whose refusal fails sinks no other; one that is locked meanwhile is found again.
        return RequestsToAsk(to_ask, len(refused) - len(self.end(refused)))

    def _take(
        self, cursor: psycopg.Cursor[Any], found: Sequence[_WaitingRequest], limit: int
    ) -> tuple[tuple[RequestWithQuestions, ...], list[EndedRequest]]:
        """Those that are `asked` from now on, and those that are to be refused."""
        keys: list[CaseKey] = [(each.scheme, each.case_id) for each in found]
        cases, held = lock_free_cases(cursor, keys, make=False)
        self._locked_cases = len(held)
        by_number = {case.case_no: case for case in cases}
        free = [each.request_no for each in found if each.case_no in by_number]
        still = fetch_values(cursor, _SQL.still_requested, [free[:limit]])
        find_open_since(cursor, cases)
        now = self._clock()
        checked = _cases_at_rail(cursor, cases)
        to_ask: list[RequestWithQuestions] = []
        ended: list[EndedRequest] = []
        for each in read_all(cursor, still):
            case = by_number[each.request.case_no]
            if each.request.asker is Asker.CHECK:
                to_ask += [] if case.case_no in checked else [each]
            elif failure := self._too_late(each, now) or open_order_failure(case, now):
                ended.append(EndedRequest(each, failure))
            else:
                to_ask.append(each)
        numbers = [each.request.request_no for each in to_ask]
        cursor.execute(_SQL.begin_asking, {"requests": numbers, "simulator": self._simulator, "now": now})
        return tuple(to_ask), ended

    def end_overdue(self) -> int:
        """Answers those that have waited too long for their turn, the oldest of all, and returns how many. Raises LeaseLost."""
        now = self._clock()
        arguments = {"rail": self._rail, "now": now, "wait": self._longest_wait, "limit": _OVERDUE_AT_ONCE}
        numbers = fetch_values(self._connection, _SQL.overdue, arguments)
        late = [(each, self._too_late(each, now)) for each in read_all(self._connection, numbers)]
        ended = [EndedRequest(each, failure) for each, failure in late if failure]
        return len(ended) - len(self.end(ended))

    def _too_late(self, found: RequestWithQuestions, now: datetime) -> SimulationFailure | None:
        request = found.request
        until = min(request.deadline or request.requested_at + self._longest_wait, request.requested_at + self._longest_wait)
        return SimulationFailure(FailureReason.TIMED_OUT, "it was not its turn in time") if now > until else None

    def end(self, ended: Sequence[EndedRequest]) -> list[EndedRequest]:
        """Keeps what came of requests, and answers who asked; returns those whose case somebody else has locked. Raises LeaseLost.

        One that fails alone is answered that kvitt failed, and sinks no other. Raises what may pass: then all are asked again.
        """
        if not ended:
            return []
        try:
            return self._ended(ended)
        except Exception as error:
            if may_pass(error) or isinstance(error, LeaseLost | psycopg.OperationalError):
                raise
            if len(ended) > 1:
                return [left for each in ended for left in self.end([each])]
            _log.error("simulation failed alone", request_no=ended[0].found.request.request_no, error=type(error).__name__)
            _private.warning("simulation failed alone", error=str(error))
            found, at_work = ended[0].found, ended[0].at_work
            return self._ended([EndedRequest.without_answer(found, FailureReason.OUR_FAULT, type(error).__name__, at_work=at_work)])

    def _ended(self, ended: Sequence[EndedRequest]) -> list[EndedRequest]:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(cursor, self._lease)
            keys: list[CaseKey] = [(each.found.request.scheme, each.found.request.case_id) for each in ended]
            cases, held = lock_free_cases(cursor, keys, make=False)
            free = [each for each in ended if (each.found.request.scheme, each.found.request.case_id) not in held]
            self._end(cursor, {case.case_no: case for case in cases}, free, self._clock())
            fault_point("simulate.before_end_commit")
        fault_point("simulate.after_end_commit")
        return [each for each in ended if each not in free]

    def _end(self, cursor: psycopg.Cursor[Any], cases: Mapping[int, Case], ended: Sequence[EndedRequest], now: datetime) -> None:
        if not ended:
            return
        numbers = [each.found.request.message_no for each in ended if each.found.request.asker is Asker.MESSAGE]
        messages = lock_messages(cursor, [each for each in numbers if each is not None], self._ports.contracts)
        at = {each.found.request.request_no: cases[each.found.request.case_no].moment(now) for each in ended}
        gone = self._close(cursor, ended, at, now)
        work = UnitOfWork()
        for each in ended:
            request = each.found.request
            if request.request_no not in gone:
                continue  # another simulator has ended it
            if request.asker is Asker.MESSAGE and request.message_no is not None:
                self._answer(work, cases[request.case_no], each, messages[request.message_no], at[request.request_no])
            elif request.asker is Asker.CHECK:
                self._on_check(cursor, work, cases[request.case_no], each, at[request.request_no])
        work.cases = [case.step() for case in cases.values() if case.changed]
        work.write(cursor)
        for each in ended:
            if each.found.request.request_no in gone:
                METRICS.add(Counted.SIMULATIONS, each.found.request.scheme.value, state_after(each.outcome).value)

    def _close(self, cursor: psycopg.Cursor[Any], ended: Sequence[EndedRequest], at: Mapping[int, datetime], now: datetime) -> set[int]:
        """Writes the answers and the ends; returns the numbers of those that have ended by this."""
        numbers = [each.found.request.request_no for each in ended]
        unasked = [None if each.answers or not isinstance(each.outcome, SimulationFailure) else each.outcome for each in ended]
        arguments = {
            "requests": numbers,
            "states": [state_after(each.outcome).value for each in ended],
            "moments": [at[number] for number in numbers],
            "reasons": [failure and failure.reason.value for failure in unasked],
            "notes": [failure and failure.text for failure in unasked],
            # By the clock, and not by the case's own moment: the sender reads the clock.
            "at_work_until": [now + self._longest_work if each.at_work else None for each in ended],
            "simulator": self._simulator,
        }
        gone = {*fetch_values(cursor, _SQL.end_requests, arguments)}
        if answers := list(_answers(each for each in ended if each.found.request.request_no in gone)):
            cursor.execute(_SQL.answer_questions, [list(column) for column in zip(*answers, strict=True)], binary=True)
        return gone

    def _answer(self, work: UnitOfWork, case: Case, ended: EndedRequest, message: MessageInProgress, at: datetime) -> None:
        """Answers whoever asked, as its contract does."""
        event = SimulationEnded(ended.outcome, case.case_id, oslo(at).date())
        before = len(work.outbox)
        answer = OutboxWriter(self._ports.contracts, work).publish(event, message, at)
        work.steps.append(MessageStep(message.message_no, MessageState.ANSWERED.value, None, at, answer))
        said = [row.value or b"" for row in work.outbox[before:]]
        case.note(work, at, What.SIMULATION_ENDED, digest(*said), message_no=message.message_no)


def _cases_at_rail(cursor: psycopg.Cursor[Any], cases: Iterable[Case]) -> set[int]:
    """Those of which an order may be at the rail now."""
    with_orders = [case.case_no for case in cases if case.open_orders]
    return {*fetch_values(cursor, _SQL.at_rail, [with_orders])} if with_orders else set()


class _KeptAnswer(NamedTuple):
    request_no: int
    place: int
    attempts: int
    status: int | None
    answer: bytes | None
    reason: str | None
    note: str | None
    by_rule: bool


def _answers(ended: Iterable[EndedRequest]) -> Iterable[_KeptAnswer]:
    """The rows of raw answers; a failure that they do not show by themselves stands beside them."""
    for each in ended:
        for place, asked in enumerate(each.answers):
            failure = asked.outcome if isinstance(asked.outcome, SimulationFailure) else None
            if failure is not None and failure.fault is not None:
                failure = None  # the answer says it
            yield _KeptAnswer(
                each.found.request.request_no,
                place,
                asked.attempts,
                asked.status,
                asked.answer or None,
                failure.reason.value if failure else None,
                failure.text if failure else None,
                failure is not None and failure.by_rule,
            )
