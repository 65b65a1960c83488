"""The simulation service without its HTTP: requests as values in, answers as values out, so that any server may stand before it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Final, TypeVar

from msgspec import Struct
from psycopg import IsolationLevel

from kvitt.kernel.clock import oslo
from kvitt.kernel.database import TupleConnection, pool
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.bank_days import is_open, next_bank_day, oslo_day
from kvitt.rails.oppdrag.emulator.habits import (
    AnswerForm,
    ServiceFaults,
    ServiceHabits,
    ServiceStrike,
    counts_down,
    decoded_faults,
    decoded_habits,
    get_service_faults,
    lock_service,
    service_settings,
    set_service_faults,
    strike,
    strike_token,
)
from kvitt.rails.oppdrag.emulator.order import CaseAtRail, EmulatedAnswer
from kvitt.rails.oppdrag.emulator.simulation import tokens
from kvitt.rails.oppdrag.emulator.simulation.answer import answer_envelope
from kvitt.rails.oppdrag.emulator.simulation.compute import Circumstances, simulate
from kvitt.rails.oppdrag.emulator.simulation.faults import (
    AUTHENTICATION,
    SoapFault,
    business_fault,
    fault_envelope,
    fault_on_demand,
)
from kvitt.rails.oppdrag.emulator.simulation.request import ReadEnvelope, SimulationQuestion, read_request
from kvitt.rails.oppdrag.emulator.watch import SimulationVisit, Watch
from kvitt.rails.oppdrag.emulator.withholding import Withholding

Struck = TypeVar("Struck")
TOKEN_PATH: Final = "/rest/v1/sts/samltoken"  # noqa: S105 -- a path, no secret
PROXY_TOKEN_PATH: Final = "/oauth2/v2.0/token"  # noqa: S105 -- likewise
SIMULATION_PATH: Final = "/simulerFpServiceWSBinding"
MAX_BODY: Final = 8_000_000
_CONNECTIONS: Final = 8
_MOST_OTHERS: Final = 20
_NO_CASE: Final = CaseAtRail("", "")
_SQL = load("service", package="kvitt.rails.oppdrag.emulator")
_XML, _JSON, _HTML, _TEXT = "text/xml; charset=utf-8", "application/json", "text/html", "text/plain; charset=utf-8"
_GATEWAY_PAGE: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class ServiceRequest(Struct, frozen=True):
    """A request; the names of its headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class ServiceAnswer(Struct, frozen=True):
    """An answer. `breaks_off`: the connection ends in the middle of it."""

    status: int
    content_type: str
    body: bytes
    breaks_off: bool = False


GATEWAY = ServiceAnswer(HTTPStatus.BAD_GATEWAY, _HTML, _GATEWAY_PAGE)
_NOT_FOUND = ServiceAnswer(HTTPStatus.NOT_FOUND, _TEXT, b"no service is at this path\n")
_NO_PROXY_TOKEN = ServiceAnswer(HTTPStatus.UNAUTHORIZED, _TEXT, b"X-Proxy-Authorization: a bearer token is needed\n")


class ServiceFrame(Struct, frozen=True):
    """All that a request is judged by: the service's habits and faults, whether its tokens are good, the newest run's day, and what
    else is known of the person: other cases (area and id), and what is held back."""

    habits: ServiceHabits
    faults: ServiceFaults
    is_known: bool
    may_pass: bool
    has_case: bool
    last_run: date | None
    others: list[str] | None
    tax_percent: int | None
    deduction_class: str | None
    deduction_kroner: int | None

    def circumstances(self, person: str, today: date, *, has_changed: bool) -> Circumstances:
        """In which a request of that day about the person is worked out; `has_changed`: there may be a case now that was not there."""
        others = self.others if self.others and self.habits.tells_others else []
        cases = tuple(CaseAtRail(area, case_id) for area, _, case_id in (other.partition(" ") for other in others))
        withholding = None
        if self.tax_percent is not None:
            withholding = Withholding(person, self.tax_percent, self.deduction_class or "", self.deduction_kroner or 0)
        run = next_bank_day(max(today, self.last_run or today))
        return Circumstances(today, run, cases, withholding, self.habits.posts_next_day, self.has_case or has_changed)


class PendingAnswer(Struct, frozen=True):
    """A simulation at the rail; `slow_seconds` pass before it is worked out."""

    asked: SimulationQuestion
    frame: ServiceFrame
    struck: ServiceStrike
    visit: SimulationVisit

    @property
    def slow_seconds(self) -> float:
        return self.struck.slow_seconds


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SimulationService:
    """Answers simulations and hands out tokens, from any number of threads. `clock` tells the time in UTC; `seed` is of the faults."""

    def __init__(self, conninfo: str, seed: int = 0, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._seed, self._clock = seed, clock
        self._pool = pool(conninfo, application="kvitt emulator service", size=_CONNECTIONS)
        self._watch = Watch(conninfo)
        self._closing = threading.Lock()

    def close(self) -> None:
        """Ends all connections."""
        with self._closing:
            self._watch.close()
            self._pool.close()

    def begin(self, request: ServiceRequest) -> ServiceAnswer | PendingAnswer:
        """The answer, or a slow simulation that has to be finished or abandoned. Raises psycopg errors."""
        if request.path.endswith(TOKEN_PATH) and request.method == "GET":
            return self._token(request)
        if request.path.endswith(PROXY_TOKEN_PATH) and request.method == "POST":
            return self._proxy_token(request)
        if request.path.endswith(SIMULATION_PATH) and request.method == "POST":
            return self._asked(request)
        return _NOT_FOUND

    def finish(self, pending: PendingAnswer) -> ServiceAnswer:
        """Works the simulation out. Its case is free for orders before the answer leaves. Raises psycopg errors."""
        with self._pool.connection() as conn:
            return self._finished(conn, pending)

    def abandon(self, pending: PendingAnswer) -> None:
        """Who asked has gone."""
        self._watch.end(pending.visit, "abandoned", "", self._clock())

    def _token(self, request: ServiceRequest) -> ServiceAnswer:
        now = self._clock()
        with self._pool.connection() as conn:
            settings = service_settings(conn)
            if settings.habits.wants_proxy_token and not tokens.may_pass(conn, _proxy_token_of(request), now):
                return _NO_PROXY_TOKEN
            user = tokens.user_of(request.headers.get("authorization", ""))
            if user is None:
                return ServiceAnswer(HTTPStatus.UNAUTHORIZED, _JSON, tokens.refusal("no user with a password"))
            if self._draw(conn, settings.faults, lambda faults: strike_token(faults, self._seed, f"{user} {now}")):
                return ServiceAnswer(HTTPStatus.UNAUTHORIZED, _JSON, tokens.refusal("the user may not have a token"))
            issued = tokens.issue(conn, user, now, settings.habits.assertion_seconds)
        return ServiceAnswer(HTTPStatus.OK, _JSON, issued.json())

    def _proxy_token(self, request: ServiceRequest) -> ServiceAnswer:
        client_id = tokens.client_of(request.body)
        if client_id is None:
            return ServiceAnswer(HTTPStatus.BAD_REQUEST, _JSON, b'{"error": "invalid_request"}')
        with self._pool.connection() as conn:
            issued = tokens.issue_pass(conn, client_id, self._clock(), service_settings(conn).habits.assertion_seconds)
        return ServiceAnswer(HTTPStatus.OK, _JSON, issued.json())

    def _asked(self, request: ServiceRequest) -> ServiceAnswer | PendingAnswer:
        now = self._clock()
        read = read_request(request.body, oslo(now))
        visit = SimulationVisit(read.message_id, read.found.order.case if isinstance(read.found, SimulationQuestion) else _NO_CASE, now)
        with self._pool.connection() as conn:
            frame = self._frame(conn, read, _proxy_token_of(request), now)
            if frame.faults.closed or not _keeps_open(frame.habits, now):
                return self._at_once(visit, "closed", "", GATEWAY)
            if frame.habits.wants_proxy_token and not frame.may_pass:
                return self._at_once(visit, "refused", "no proxy token", _NO_PROXY_TOKEN)
            struck = self._draw(conn, frame.faults, lambda faults: strike(faults, self._seed, read.message_id))
            if struck.gateway:
                return self._at_once(visit, "closed", "", GATEWAY)
            if isinstance(read.found, SoapFault) and not read.assertion_id:
                return self._at_once(visit, "fault", read.found.note, _fault(read.found))
            if struck.expired or not frame.is_known:
                return self._at_once(visit, "refused", AUTHENTICATION.text, _fault(AUTHENTICATION))
            if isinstance(read.found, SoapFault):
                return self._at_once(visit, "fault", read.found.note, _fault(read.found))
            pending = PendingAnswer(read.found, frame, struck, self._watch.begin(visit, now))
            return pending if struck.slow_seconds else self._finished(conn, pending)

    def _finished(self, conn: TupleConnection, pending: PendingAnswer) -> ServiceAnswer:
        outcome, note = "failed", ""
        try:
            outcome, note, answer = self._worked_out(conn, pending)
        finally:
            self._watch.end(pending.visit, outcome, note, self._clock())
        return answer

    def _frame(self, conn: TupleConnection, read: ReadEnvelope, proxy_token: str, now: datetime) -> ServiceFrame:
        order = read.found.order if isinstance(read.found, SimulationQuestion) else None
        case, person = (order.case, order.person) if order else (_NO_CASE, "")
        arguments = {
            "assertion_id": read.assertion_id,
            "proxy_token": proxy_token,
            "now": now,
            "person": person,
            "area": case.area,
            "case_id": case.case_id,
            "most_others": _MOST_OTHERS,
        }
        frame = fetch_one(conn, ServiceFrame, _SQL.service_frame, arguments, habits=decoded_habits, faults=decoded_faults)
        assert frame is not None, "a migration made the row"
        return frame

    def _draw(self, conn: TupleConnection, faults: ServiceFaults, draw: Callable[[ServiceFaults], tuple[Struck, ServiceFaults]]) -> Struck:
        """Draws what strikes; a count is kept under a lock, so that two requests do not spend the same one."""
        if not counts_down(faults):
            return draw(faults)[0]
        with conn.transaction():
            lock_service(conn)
            struck, left = draw(get_service_faults(conn))
            set_service_faults(conn, left)
        return struck

    def _at_once(self, visit: SimulationVisit, outcome: str, note: str, answer: ServiceAnswer) -> ServiceAnswer:
        self._watch.end(visit, outcome, note, self._clock())
        return answer

    def _worked_out(self, conn: TupleConnection, pending: PendingAnswer) -> tuple[str, str, ServiceAnswer]:
        """The outcome, a note of it, and the answer."""
        now, struck = self._clock(), pending.struck
        if struck.fault is not None:
            fault = fault_on_demand(struck.fault, oslo(now))
            return "fault", fault.note, _fault(fault)
        today = oslo_day(now)
        has_changed = bool(struck.slow_seconds) or pending.visit.has_waited
        circumstances = pending.frame.circumstances(pending.asked.order.person, today, has_changed=has_changed)
        with _one_snapshot(conn):
            found = simulate(conn, pending.asked, circumstances)
        if isinstance(found, EmulatedAnswer):
            fault = business_fault(found, oslo(now))
            return "fault", found.text, _fault(fault)
        body = answer_envelope(
            pending.asked, found, today, pads=pending.frame.habits.pads, form=struck.form, least_bytes=struck.large_bytes
        )
        return "answered" if found else "empty", "", _answer(body, struck)


@contextmanager
def _one_snapshot(conn: TupleConnection) -> Iterator[None]:
    """A transaction that sees one moment. The connection goes back as it was: what counts faults down waits for locks."""
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with conn.transaction():
            yield
    finally:
        conn.isolation_level = None


def _answer(body: bytes, struck: ServiceStrike) -> ServiceAnswer:
    content_type = "text/xml; charset=iso-8859-1" if struck.form is AnswerForm.LATIN_1 else _XML
    return ServiceAnswer(HTTPStatus.OK, content_type, body[: len(body) * 2 // 3] if struck.cut else body, struck.dropped)


def _fault(fault: SoapFault) -> ServiceAnswer:
    return ServiceAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, _XML, fault_envelope(fault))


def _keeps_open(habits: ServiceHabits, now: datetime) -> bool:
    return not habits.keeps_hours or is_open(now, habits.opens, habits.closes)


def _proxy_token_of(request: ServiceRequest) -> str:
    return tokens.bearer_in(request.headers.get("x-proxy-authorization", ""))
