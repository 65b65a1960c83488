"""Dry runs over REST: a decision, or a message of a case stream; the call waits for what the rail's simulation says (iverksetting §4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from uuid import uuid4

from litestar import Request, Response, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.openapi.spec import Parameter as HeaderParameter
from litestar.params import FromPath
from litestar.router import Router
from msgspec import Struct

from kvitt.api.rest.contract_examples import (
    A_MESSAGE,
    A_SIMULATED_DECISION,
    NO_CHANGE,
    NO_SUCH_SCHEME,
    NOT_IN_TIME,
    WHAT_IS_PAID,
    of_dry_runs,
)
from kvitt.api.rest.contract_forms import TRANSACTION_ID, api_error
from kvitt.api.rest.decisions import DecisionCalls
from kvitt.api.rest.iverksetting_description import SCHEME_PARAMETER, SIMULATED
from kvitt.api.rest.problems import RETRY_SECONDS
from kvitt.api.rest.routes import CHECK, FormSchema, RouteWork, authority_in, authority_over, may_decide, may_decide_somewhere
from kvitt.api.rest.watch import RowWatch
from kvitt.contracts.helved.dry_run_calls import SOURCES, http_status
from kvitt.contracts.helved.dry_run_calls import may_pass as dry_run_may_pass
from kvitt.contracts.iverksetting.answers import ContractBody, refusal_body
from kvitt.contracts.iverksetting.call import EnactmentCall
from kvitt.contracts.iverksetting.contract import as_read, checked
from kvitt.contracts.iverksetting.decision import DecisionForm
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.contracts.iverksetting.shapes import SimulatedShape
from kvitt.contracts.iverksetting.simulated import SOURCE_OF, as_simulated, may_pass
from kvitt.contracts.iverksetting.simulated import answered as said_of_decision
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.decide import Decided
from kvitt.disbursement.decisions import DecisionOutcome
from kvitt.disbursement.inbox import Incoming, ParsedRecord
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

PATHS: Final = ("/api/simulering/v3", "/api/dryrun")
DECISION_PATH: Final = "/api/simulering/v2"
_SQL = load("dry_runs", "kvitt.contracts.helved")
_JSON: Final = "application/json"
_FORM: Final = "v1"
_LONGEST_ID: Final = 255
_SCHEMES: Final[Mapping[str, Scheme]] = {
    "aap": Scheme.AAP,
    "dagpenger": Scheme.DAGPENGER,
    "tilleggsstonader": Scheme.TILLEGGSSTONADER,
    "tiltakspenger": Scheme.TILTAKSPENGER,
}


class _EndedDryRun(NamedTuple):
    message_no: int
    answer: bytes | None


class DryRunRoutes(Struct, frozen=True):
    """Dry runs behind their routes."""

    calls: DecisionCalls
    watch: RowWatch[bytes]

    async def answered(self, request: Request[Any, Any, Any], scheme: Scheme, by: Authority) -> Response[bytes]:
        """The rail's answer in the scheme's form; a status where there is none, and 408 where it did not come in time."""
        transaction, body = _transaction_of(request), await request.body()
        headers = CallHeaders("dryrun", _FORM, by.application, by.person, by.approver)

        async def ask() -> int | bytes:
            decided = await self.calls.decided(SOURCES[scheme], transaction.encode(), body, headers, identity=f"dryrun/{transaction}")
            return _known(decided)

        answer = await self.watch.holding(ask, self.calls.dry_run_seconds)
        return _said(answer) if answer is not None else _late()

    async def decided(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The outcome that a decision would have, or a refusal in the words of its generation; 408 where nothing came in time."""
        scheme, by = authority_in(request)
        terms = self.calls.iverksetting[scheme]
        transaction, body = _transaction_of(request), await request.body()
        call = EnactmentCall(ReadingTerms(DecisionForm.SIMULATED, terms.generation, terms.may_lack_spans), by)
        decision = checked(body, scheme, call)
        if isinstance(decision, Refusal):
            return _shown(decision.status, refusal_body(decision, terms.generation))

        def read(record: Incoming) -> ParsedRecord:
            return as_simulated(as_read(record, decision, scheme))

        async def ask() -> int | bytes:
            identity = f"simulering/{transaction}"
            return _known(
                await self.calls.decided(SOURCE_OF[scheme], transaction.encode(), body, call.headers, identity=identity, read=read)
            )

        answer = await self.watch.holding(ask, self.calls.dry_run_seconds)
        if answer is None:
            return _shown(NOT_IN_TIME.status, refusal_body(NOT_IN_TIME, terms.generation))
        return _shown(*said_of_decision(answer, terms.generation), again=may_pass(answer))


def _known(decided: Decided) -> int | bytes:
    """The answer, or by which message it comes."""
    waits = decided.outcome is DecisionOutcome.SIMULATED or decided.answer is None
    return decided.message_no if waits else decided.answer or b""


def _said(answer: bytes) -> Response[bytes]:
    return _shown(http_status(answer), ContractBody(_JSON, answer), again=dry_run_may_pass(answer))


def _shown(status: int, content: ContractBody, *, again: bool = False) -> Response[bytes]:
    headers = {"retry-after": RETRY_SECONDS} if again else {}
    return Response(content.body, status_code=status, media_type=content.content_type, headers=headers)


def _late() -> Response[bytes]:
    content_type, body = api_error(NOT_IN_TIME)
    return Response(body, status_code=NOT_IN_TIME.status, media_type=content_type)


def _transaction_of(request: Request[Any, Any, Any]) -> str:
    """The caller's id of its dry run, one of ours where it has none. Raises BadRequest."""
    named = request.headers.get(TRANSACTION_ID)
    if named is None:
        return str(uuid4())
    if not 1 <= len(named) <= _LONGEST_ID or not named.isprintable():
        raise BadRequest((TRANSACTION_ID, f"has 1 to {_LONGEST_ID} printable characters"))
    return named


def routers(calls: DecisionCalls, work: RouteWork) -> Sequence[Router]:
    """The routes: one for the scheme of the caller, and one for each of four schemes."""

    def look(numbers: Sequence[int]) -> Mapping[int, bytes]:
        with calls.pool.connection() as connection:
            return {each.message_no: each.answer or b"" for each in fetch(connection, _EndedDryRun, _SQL.ended_dry_runs, [list(numbers)])}

    routes = DryRunRoutes(calls, RowWatch(lambda numbers: work.on_thread(lambda: look(numbers)), calls.dry_runs))
    given: dict[str, Callable[..., Any] | Provide] = {"dry_runs": Provide(lambda: routes, sync_to_thread=False, use_cache=True)}
    own, named = PATHS
    return (
        Router(
            DECISION_PATH,
            route_handlers=[simulate_decision],
            dependencies=given,
            guards=[may_decide(calls.access, SOURCE_OF)],
            tags=["simulations"],
        ),
        Router(own, route_handlers=[dry_run], dependencies=given, guards=[may_decide(calls.access, SOURCES)], tags=["simulations"]),
        Router(
            named,
            route_handlers=[dry_run_of],
            dependencies=given,
            guards=[may_decide_somewhere(calls.access), _refuse_other_schemes],
            tags=["simulations"],
        ),
    )


def _refuse_other_schemes(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Who may not send messages of the scheme in the path is refused before the body is read. Raises OtherScheme, SystemCallRefused."""
    if scheme := _SCHEMES.get(connection.path_params["scheme"]):
        authority_over(connection, scheme)


_MEANINGS: Final[Mapping[int, str]] = {
    400: "the message can not be read, or breaks a rule",
    401: "no valid token",
    403: "the application is not one of the scheme",
    404: "the rail does not know the person; or no such scheme is simulated",
    408: "the rail did not answer in time",
    409: "the case has an order without a receipt; or the `Transaction-ID` was used for another message",
    413: "the body is too long",
    415: "the body is not JSON",
    422: "the order can not be simulated",
    429: "the application asks too often",
    500: "kvitt failed",
    502: "the rail's simulation is closed",
    503: "the database or the issuer is away, or too many calls wait; the request may be made again",
    504: "it is not known whether it was asked",
}
_ANSWERS: Final = {
    200: ResponseSpec(
        dict[str, Any],
        description="what the message would lead to (`@type` `v1` or `v2`)",
        generate_examples=False,
        examples=[WHAT_IS_PAID],
    ),
    302: ResponseSpec(
        dict[str, Any],
        description="nothing would change (`@type` `info`)",
        media_type=_JSON,
        generate_examples=False,
        examples=[NO_CHANGE],
    ),
    **of_dry_runs(
        {
            status: ResponseSpec(dict[str, Any], description=meaning, media_type=_JSON, generate_examples=False)
            for status, meaning in _MEANINGS.items()
        }
    ),
}


@dataclass
class _DryRunOperation(Operation):
    """An operation whose body is a message of the scheme's stream."""

    def __post_init__(self) -> None:
        """Adds what no signature has."""
        schema = Schema(type=OpenAPIType.STRING, min_length=1, max_length=_LONGEST_ID, pattern="^[ -~]+$")
        meaning = "the same message with the same id is simulated once; a decision may name it as what its approver saw"
        self.parameters = [*(self.parameters or []), HeaderParameter(TRANSACTION_ID, "header", schema=schema, description=meaning)]
        media = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT), examples={"message": A_MESSAGE})
        self.request_body = RequestBody(content={_JSON: media}, required=True)


def _any_message(_: bytes) -> None:
    """Nothing is checked before the contract reads it; only that it is said to be JSON."""


@dataclass
class _SimulatedDecisionOperation(_DryRunOperation):
    """The operation of a decision."""

    def __post_init__(self) -> None:
        """Adds the body that it has."""
        super().__post_init__()
        media = OpenAPIMediaType(schema=FormSchema.of(SimulatedShape), examples={"decision": A_SIMULATED_DECISION})
        self.request_body = RequestBody(content={_JSON: media}, required=True)
        self.parameters = [*(self.parameters or []), SCHEME_PARAMETER]


@post(
    "/",
    responses=SIMULATED,
    operation_class=_SimulatedDecisionOperation,
    opt={CHECK: _any_message},
    status_code=200,
    summary="Simulate a decision",
    description="All that a case shall pay, with the decision before it, as `/api/iverksetting/v2` takes it; nothing is received.",
)
async def simulate_decision(request: Request[Any, Any, Any], dry_runs: NamedDependency[DryRunRoutes]) -> Response[bytes]:
    """The outcome that the decision would have."""
    return await dry_runs.decided(request)


@post(
    "/",
    responses=_ANSWERS,
    operation_class=_DryRunOperation,
    opt={CHECK: _any_message},
    status_code=200,
    summary="Simulate a message of the caller's scheme",
    description="The body is a message of the scheme's case stream; nothing is ordered.",
)
async def dry_run(request: Request[Any, Any, Any], dry_runs: NamedDependency[DryRunRoutes]) -> Response[bytes]:
    """The outcome that the message would have."""
    scheme, by = authority_in(request)
    return await dry_runs.answered(request, scheme, by)


@post(
    "/{scheme:str}",
    responses=_ANSWERS,
    operation_class=_DryRunOperation,
    opt={CHECK: _any_message},
    status_code=200,
    summary="Simulate a message of a scheme",
    description="For applications of that scheme: aap, dagpenger, tilleggsstonader or tiltakspenger.",
)
async def dry_run_of(request: Request[Any, Any, Any], scheme: FromPath[str], dry_runs: NamedDependency[DryRunRoutes]) -> Response[bytes]:
    """The outcome that the message would have."""
    if scheme not in _SCHEMES:
        content_type, body = api_error(NO_SUCH_SCHEME)
        return Response(body, status_code=HTTPStatus.NOT_FOUND, media_type=content_type)
    return await dry_runs.answered(request, _SCHEMES[scheme], authority_over(request, _SCHEMES[scheme]))
