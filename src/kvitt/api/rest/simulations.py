"""The simulation service of the rapid over REST: one question, asked of the rail, whose answer the call waits for (rapid §5.2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, RequestBody, Schema
from litestar.openapi.spec import Parameter as HeaderParameter
from litestar.router import Router
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.rest.problems import PROBLEM, RETRY_SECONDS, FormedProblem, Problem
from kvitt.api.rest.routes import CHECK, PROBLEM_OF, Repeatable, RouteWork, actor_of, may_touch
from kvitt.api.rest.simulation_form import REQUEST
from kvitt.api.rest.watch import RowWatch
from kvitt.contracts.rapid.derive import ask
from kvitt.contracts.rapid.needs import Need
from kvitt.contracts.rapid.wire.simulation import PATH, HttpAnswer, ServiceProblem, SimulationShape, http_answer
from kvitt.contracts.rapid.wire.simulation import problem as service_problem
from kvitt.contracts.rapid.wire.simulation_question import InvalidQuestion, read_request
from kvitt.disbursement.rail import Rails, SimulatingRail
from kvitt.disbursement.simulation import FailureReason, SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_requests import RequestWithQuestions, ended
from kvitt.disbursement.values import Scheme
from kvitt.errors import InvalidInput
from kvitt.kernel.clock import Clock

CALL_ID: Final = "callId"
_LONGEST_CALL_ID: Final = 255
_JSON: Final = "application/json"
_NOT_IN_TIME: Final = SimulationFailure(FailureReason.TIMED_OUT, "no answer in time")
_MEANINGS: Final[Mapping[int, str]] = {
    400: "the question breaks rules of its form, or the order a rule of the rail",
    401: "no valid token, or one without the name of its application",
    403: "the application is not one of the scheme",
    405: "not with this method",
    409: "the case has an order without a receipt, or the key was used otherwise",
    413: "the body is too long",
    415: "the body is not JSON",
    429: "the application asks too often",
    500: "the rail failed, or kvitt",
    503: "the rail is closed, or did not answer in time; or too many calls wait for it",
    504: "it is not known whether it was asked",
}
_OF_THE_RAIL: Final = (
    SimulationFailure(FailureReason.NOT_ASKED, "Simuleringen har for mange linjer"),
    SimulationFailure(
        FailureReason.ORDER_OPEN,
        "Saken har et åpent oppdrag som har ventet på kvittering i 3 timer, og kan ikke simuleres før det er kvittert",
    ),
    SimulationFailure(FailureReason.EMPTY_ENVELOPE, ""),
    SimulationFailure(FailureReason.CLOSED, ""),
)
"""Failures of questions, for the description."""
_A_CALL: Final = "0b9f4f2e-6a0d-4c57-9f0e-5f5d5c1e2a01"


def _examples(status: int) -> list[Example]:
    """The problems of a status, in the service's form."""
    said = [problem for problem in (http_answer(each, _A_CALL) for each in _OF_THE_RAIL) if problem.status == status]
    bodies = [each.body for each in (service_problem(HTTPStatus(status), PROBLEM_OF[status].detail, _A_CALL), *said)]
    found = [msgspec.json.decode(body) for body in bodies]
    return [Example(summary=each["detail"], value=each) for each in found]


_ANSWERS: Final = {
    200: ResponseSpec(SimulationShape, description="what the order would lead to", generate_examples=False),
    204: ResponseSpec(None, description="the rail takes the order, and nothing would change"),
    **{
        status: ResponseSpec(ServiceProblem, description=meaning, media_type=PROBLEM, generate_examples=False, examples=_examples(status))
        for status, meaning in _MEANINGS.items()
    },
}


class SimulationCalls(Struct, frozen=True):
    """Questions as rows, for calls: at most `most` wait at once, each for as many seconds. Safe for use by several threads.

    `asked` is called when a question is stored, so that a simulator of this process need not look for it.
    """

    pool: ConnectionPool[Any]
    rails: Rails
    clock: Clock
    most: int
    seconds: float
    asked: Callable[[], None] = lambda: None

    def ask(self, question: Need, caller: str) -> int | SimulationFailure:
        """Stores a question and returns the number of its request, or why it is not asked. Raises psycopg errors."""
        with self.pool.connection() as connection:
            stored = ask(connection, self.rails, question, caller, now=self.clock(), seconds=self.seconds)
        self.asked()
        return stored

    def outcomes(self, numbers: Sequence[int]) -> Mapping[int, SimulationOutcome]:
        """The outcomes of those of the requests that have one. Raises psycopg errors."""
        with self.pool.connection() as connection:
            found = ended(connection, numbers)
        outcomes = {each.request.request_no: each.outcome(self._rail_of(each)) for each in found}
        return {number: outcome for number, outcome in outcomes.items() if outcome is not None}

    def _rail_of(self, found: RequestWithQuestions) -> SimulatingRail:
        rail = self.rails.simulating(found.request.scheme)
        assert rail is not None, "it was asked"
        return rail


class _Described(Schema):
    """A schema that is there as a document already."""

    def to_schema(self) -> dict[str, Any]:
        return dict(REQUEST)


@dataclass
class _QuestionOperation(Repeatable):
    """The operation with its body, which the route reads by the contract's own rules."""

    def __post_init__(self) -> None:
        """Adds what no signature tells."""
        super().__post_init__()
        self.request_body = RequestBody(content={_JSON: OpenAPIMediaType(schema=_Described())}, required=True)
        schema = Schema(type=OpenAPIType.STRING, min_length=1, max_length=_LONGEST_CALL_ID)
        call_id = HeaderParameter(CALL_ID, "header", schema=schema, description="returned with what is answered instead of a simulation")
        self.parameters = [*(self.parameters or []), call_id]


def router(calls: SimulationCalls, work: RouteWork) -> Router:
    """The route of simulations."""
    awaited = AwaitedSimulations(calls, work)
    dependencies = {"simulations": Provide(lambda: awaited, sync_to_thread=False, use_cache=True)}
    return Router(PATH, route_handlers=[simulate], dependencies=dependencies, tags=["simulations"])


class AwaitedSimulations:
    """Asks for calls, and has them wait."""

    def __init__(self, calls: SimulationCalls, work: RouteWork) -> None:
        self._calls, self._work = calls, work
        self._watch: RowWatch[SimulationOutcome] = RowWatch(lambda numbers: work.on_thread(lambda: calls.outcomes(numbers)), calls.most)

    async def answered(self, question: Need, caller: str, call_id: str) -> HttpAnswer:
        """The rail's answer, or that it gave none in time, which is said as if it were closed."""

        async def ask() -> int | SimulationOutcome:
            return await self._work.on_thread(lambda: self._calls.ask(question, caller))

        return http_answer(await self._watch.holding(ask, self._calls.seconds) or _NOT_IN_TIME, call_id)


def check(body: bytes) -> None:
    """Raises InvalidInput with everything that is wrong, in the contract's language."""
    _question_in(body)


def _question_in(body: bytes) -> Need:
    found = read_request(body)
    if isinstance(found, InvalidQuestion):
        raise InvalidInput(found.text)
    return found


@post(
    "/",
    guards=[may_touch(Scheme.SYKEPENGER)],
    responses=_ANSWERS,
    operation_class=_QuestionOperation,
    opt={CHECK: check},
    status_code=200,
    summary="Ask what an order would lead to",
    description="Asks the rail, and waits for its answer; nothing is ordered.",
)
async def simulate(request: Request[Any, Any, Any], simulations: NamedDependency[AwaitedSimulations]) -> Response[bytes]:
    """The service's answer."""
    call_id = call_id_of(request.headers)
    answer = await simulations.answered(_question_in(await request.body()), actor_of(request).name, call_id)
    headers = {CALL_ID: call_id} if answer.content_type == PROBLEM else {}
    if answer.status == HTTPStatus.CONFLICT:
        headers["retry-after"] = RETRY_SECONDS
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type, headers=headers)


def service_form(problem: Problem, headers: Mapping[str, str]) -> FormedProblem:
    """A problem in the service's form, with the call's id."""
    call_id = call_id_of(headers)
    detail = "; ".join([problem.detail, *(f"{each.field}: {each.rule}" for each in problem.errors)])
    said = service_problem(HTTPStatus(problem.status), detail, call_id)
    return FormedProblem(PROBLEM, said.body, {CALL_ID: call_id})


def call_id_of(headers: Mapping[str, str]) -> str:
    """The call's id as its sender gives it, or one of our own for what is none."""
    given = headers.get(CALL_ID.lower(), "")
    return given if 1 <= len(given) <= _LONGEST_CALL_ID and given.isascii() and given.isprintable() else str(uuid4())
