"""Decisions that form one chain per case over REST: thin routes around the contract (iverksetting §1, §6.3)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import psycopg
from litestar import Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.router import Router
from msgspec import Struct
from msgspec.structs import replace
from psycopg_pool import ConnectionPool

from kvitt.api.rest.contract_forms import contract_form
from kvitt.api.rest.decisions import SEEN, DecisionCalls
from kvitt.api.rest.iverksetting_description import (
    APPROVER,
    MOVED,
    RECEIVED,
    STATUS,
    WOULD_MOVE,
    DecisionOperation,
    MoveOperation,
    OlderDecisionOperation,
    SchemeOperation,
)
from kvitt.api.rest.moves import move, payments_body
from kvitt.api.rest.problems import RETRY_SECONDS, ProblemForm
from kvitt.api.rest.routes import CHECK, RouteWork, authority_in, may_decide, trace_of
from kvitt.contracts.iverksetting.answers import (
    EMPTY_BODY,
    ContractBody,
    EnactmentStatus,
    refusal_body,
    status_body,
    stopped_body,
    unexpected_body,
)
from kvitt.contracts.iverksetting.call import SOURCE_OF, EnactmentCall, EnactmentTerms
from kvitt.contracts.iverksetting.contract import as_read, checked
from kvitt.contracts.iverksetting.decision import CaseDecision, DecisionForm, Generation
from kvitt.contracts.iverksetting.lookup import call_key, is_switched_off, refused_in_other_case, status_in_any_case, status_of
from kvitt.contracts.iverksetting.moving import read_move
from kvitt.contracts.iverksetting.read import ReadingTerms, form_of
from kvitt.contracts.iverksetting.texts import NOT_FINISHED, RECEIVED_ALREADY, SCHEME_STOPPED, STATUS_UNKNOWN, STATUS_UNKNOWN_OF_THREE
from kvitt.disbursement.authority import NOT_FRAMED
from kvitt.disbursement.decide import Decided
from kvitt.disbursement.decisions import DecisionOutcome
from kvitt.disbursement.migrate_case import MovedChains
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal, Scheme

PATH: Final = "/api/iverksetting"
_JSON: Final = "application/json"
_LOOK_SECONDS: Final = 0.25
_KIND: Final = "iverksetting"


_Find = Callable[[psycopg.Connection[Any], Scheme], EnactmentStatus | None]


class EnactmentRoutes(Struct, frozen=True):
    """The contract behind its routes: the calls of decisions, and which schemes are switched off."""

    calls: DecisionCalls
    work: RouteWork
    switches: "_Switches"

    async def decide(self, request: Request[Any, Any, Any], form: DecisionForm | None) -> Response[bytes]:
        """The answer to a decision, durable when it is given; `form` None: it is one of the older ones."""
        scheme, by = authority_in(request)
        terms = self.calls.iverksetting[scheme]
        if await self.switches.is_off(scheme):
            refusal = SCHEME_STOPPED.refusal(terms.generation, scheme=scheme.value)
            return _response(refusal.status, stopped_body(refusal))
        body = await request.body()
        reading = ReadingTerms(form or form_of(body), terms.generation, terms.may_lack_spans)
        call = EnactmentCall(reading, by, terms.publishes, request.headers.get(SEEN) or None)
        decision = checked(body, scheme, call)
        if isinstance(decision, Refusal):
            return _refused(decision, terms.generation)
        one_case_only = decision.form is DecisionForm.FIRST and terms.generation is Generation.FIRST
        if one_case_only and (other_case := await self.work.on_thread(lambda: self._in_other_case(decision, scheme))):
            return _refused(other_case, terms.generation)
        identity = "/".join(filter(None, (scheme.value, decision.case_name, decision.key.decision_id, decision.key.enactment_id)))
        source, key = SOURCE_OF[scheme], call_key(decision.key)
        decided = await self.calls.decided(
            source,
            key,
            body,
            replace(call.headers, traceparent=trace_of(request)),
            identity=identity,
            read=lambda record: as_read(record, decision, scheme),
        )
        return _answer(decided, decision, scheme, terms.generation)

    def _in_other_case(self, decision: CaseDecision, scheme: Scheme) -> Refusal | None:
        with self.calls.pool.connection() as connection:
            return refused_in_other_case(connection, decision, scheme)

    async def status(
        self,
        request: Request[Any, Any, Any],
        find: Callable[[Any, Scheme], EnactmentStatus | None],
        unknown: Callable[[Generation], Refusal],
    ) -> Response[bytes]:
        """A status that is found for the caller's scheme; else 404, which only the newest generation explains."""
        scheme, _ = authority_in(request)
        generation = self.calls.iverksetting[scheme].generation

        def look() -> EnactmentStatus | None:
            with self.calls.pool.connection() as connection:
                return find(connection, scheme)

        found = await self.work.on_thread(look)
        if found is not None:
            return _response(HTTPStatus.OK, status_body(found, generation))
        if generation is not Generation.THIRD:
            return _response(HTTPStatus.NOT_FOUND, EMPTY_BODY)
        return _refused(unknown(generation), generation)

    async def move(self, request: Request[Any, Any, Any], *, dry_run: bool) -> Response[bytes]:
        """Moves chains of a case to single payments; of a dry run, the payments that they would become."""
        scheme, by = authority_in(request)
        generation = self.calls.iverksetting[scheme].generation
        asked = read_move(await request.body(), scheme, generation)
        if isinstance(asked, Refusal):
            return _refused(asked, generation)

        def do() -> MovedChains | Refusal:
            with self.calls.pool.connection() as connection:
                return move(connection, self.calls, asked, scheme, by, generation=generation, dry_run=dry_run)

        found = await self.work.on_thread(do)
        if isinstance(found, Refusal):
            return _refused(found, generation)
        return _response(HTTPStatus.OK, ContractBody(_JSON, payments_body(found.payments)) if dry_run else EMPTY_BODY)


class _Switches:
    """Which schemes are switched off, as it was at most a moment ago."""

    def __init__(self, pool: ConnectionPool[Any], work: RouteWork) -> None:
        self._pool, self._work = pool, work
        self._off: frozenset[Scheme] = frozenset()
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def is_off(self, scheme: Scheme) -> bool:
        """Whether decisions of a scheme are refused. Raises psycopg errors."""
        if self._is_old():
            async with self._looking:
                if self._is_old():
                    self._off = await self._work.on_thread(self._look)
                    self._looked_at = time.monotonic()
        return scheme in self._off

    def _is_old(self) -> bool:
        return time.monotonic() - self._looked_at > _LOOK_SECONDS

    def _look(self) -> frozenset[Scheme]:
        with self._pool.connection() as connection:
            return frozenset([scheme for scheme in SOURCE_OF if is_switched_off(connection, scheme)])


def router(calls: DecisionCalls, work: RouteWork) -> Router:
    """The routes of the contract, each for applications of one scheme."""
    routes = EnactmentRoutes(calls, work, _Switches(calls.pool, work))
    return Router(
        PATH,
        route_handlers=[
            decide_as_before,
            decide,
            move_case,
            try_move,
            approver_named,
            status_by_decision,
            status_by_case,
            status_by_enactment,
        ],
        dependencies={"iverksetting": Provide(lambda: routes, sync_to_thread=False, use_cache=True)},
        guards=[may_decide(calls.access, SOURCE_OF)],
        tags=["iverksetting"],
    )


def problem_form(terms: Mapping[Scheme, EnactmentTerms]) -> ProblemForm:
    """Problems in the form of the generation that answers; where schemes have different ones, in the newest one's."""
    generations = {each.generation for each in terms.values()}
    generation = generations.pop() if len(generations) == 1 else Generation.THIRD

    def write(refusal: Refusal) -> tuple[str | None, bytes]:
        failed = refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR
        found = unexpected_body(generation, BASE) if failed else refusal_body(refusal, generation)
        return found.content_type, found.body

    return contract_form(write)


def _answer(decided: Decided, decision: CaseDecision, scheme: Scheme, generation: Generation) -> Response[bytes]:
    """202 without a body; older generations refuse the same decision that comes again."""
    if decided.refusal is not None:
        if decided.refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return _response(decided.refusal.status, unexpected_body(generation, BASE))
        return _refused(decided.refusal, generation)
    if decided.outcome is DecisionOutcome.REPEATED and generation is not Generation.THIRD:
        ids = {"case": decision.case_name, "decision": decision.key.decision_id, "enactment": decision.key.enactment_id}
        return _refused(RECEIVED_ALREADY.refusal(generation, scheme=scheme.value, **ids), generation)
    return _response(HTTPStatus.ACCEPTED, EMPTY_BODY)


def _refused(refusal: Refusal, generation: Generation) -> Response[bytes]:
    """Whatever may be asked again once an order has its receipt says so: no repeat of it is answered from what was kept."""
    later = refusal.status == HTTPStatus.LOCKED or refusal == NOT_FINISHED.refusal(generation)
    return _response(refusal.status, refusal_body(refusal, generation), {"retry-after": RETRY_SECONDS} if later else {})


def _response(status: int, content: ContractBody, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    return Response(content.body, status_code=status, media_type=content.content_type, headers=headers)


def _any_body(_: bytes) -> None:
    """Nothing is checked before the contract reads it; only that it is said to be JSON."""


@post(
    "/",
    responses=RECEIVED,
    operation_class=OlderDecisionOperation,
    opt={CHECK: _any_body},
    status_code=202,
    summary="Send a decision in one of the older forms",
    description="The first form, with frame and payment decisions, or the last one; they are known by their members.",
)
async def decide_as_before(request: Request[Any, Any, Any], iverksetting: NamedDependency[EnactmentRoutes]) -> Response[bytes]:
    """202 without a body once the decision is received."""
    return await iverksetting.decide(request, None)


@post(
    "/v2",
    responses=RECEIVED,
    operation_class=DecisionOperation,
    opt={CHECK: _any_body},
    status_code=202,
    summary="Send a decision",
    description="The complete state of what a case pays; it names the decision before it.",
)
async def decide(request: Request[Any, Any, Any], iverksetting: NamedDependency[EnactmentRoutes]) -> Response[bytes]:
    """202 without a body once the decision is received."""
    return await iverksetting.decide(request, DecisionForm.V2)


@post(
    "/v2/migrate",
    responses=MOVED,
    operation_class=MoveOperation,
    opt={CHECK: _any_body},
    status_code=200,
    summary="Move chains of a case to single payments",
    description="From then on the case is changed by `/utbetalinger` alone. The same once more does nothing.",
)
async def move_case(request: Request[Any, Any, Any], iverksetting: NamedDependency[EnactmentRoutes]) -> Response[bytes]:
    """200 without a body."""
    return await iverksetting.move(request, dry_run=False)


@post(
    "/v2/migrate/dryrun",
    responses=WOULD_MOVE,
    operation_class=MoveOperation,
    opt={CHECK: _any_body},
    status_code=200,
    summary="What a move would make",
    description="Nothing is moved.",
)
async def try_move(request: Request[Any, Any, Any], iverksetting: NamedDependency[EnactmentRoutes]) -> Response[bytes]:
    """The payments that chains would become."""
    return await iverksetting.move(request, dry_run=True)


@get("/rammevedtak", responses=APPROVER, operation_class=SchemeOperation, summary="Whether the caller may send frame decisions")
async def approver_named(request: Request[Any, Any, Any], iverksetting: NamedDependency[EnactmentRoutes]) -> Response[bytes]:
    """The approver's own name."""
    scheme, by = authority_in(request)
    if not by.approver or by.person is None:
        return _refused(Refusal(NOT_FRAMED.status, _NO_APPROVER, NOT_FRAMED.doc), iverksetting.calls.iverksetting[scheme].generation)
    return _response(HTTPStatus.OK, ContractBody(_JSON, msgspec.json.encode(by.person)))


_NO_APPROVER: Final = "Varsel om rammevedtak kommer ikke fra beslutter"


@get("/{decision:str}/status", responses=STATUS, operation_class=SchemeOperation, summary="How far a decision of the first form has come")
async def status_by_decision(
    request: Request[Any, Any, Any], decision: FromPath[str], iverksetting: NamedDependency[EnactmentRoutes]
) -> Response[bytes]:
    """By its `behandlingId` alone."""
    return await iverksetting.status(
        request,
        lambda source, scheme: status_in_any_case(source, scheme, decision),
        lambda generation: STATUS_UNKNOWN.refusal(generation, case=None, decision=decision),
    )


@get("/{case:str}/{decision:str}/status", responses=STATUS, operation_class=SchemeOperation, summary="How far a decision has come")
async def status_by_case(
    request: Request[Any, Any, Any], case: FromPath[str], decision: FromPath[str], iverksetting: NamedDependency[EnactmentRoutes]
) -> Response[bytes]:
    """The newest one of its behandling."""
    return await iverksetting.status(
        request,
        lambda source, scheme: status_of(source, scheme, case, decision, None),
        lambda generation: STATUS_UNKNOWN.refusal(generation, case=case, decision=decision),
    )


@get(
    "/{case:str}/{decision:str}/{enactment:str}/status",
    responses=STATUS,
    operation_class=SchemeOperation,
    summary="How far one of several has come",
)
async def status_by_enactment(
    request: Request[Any, Any, Any],
    case: FromPath[str],
    decision: FromPath[str],
    enactment: FromPath[str],
    iverksetting: NamedDependency[EnactmentRoutes],
) -> Response[bytes]:
    """The one with this `iverksettingId`."""
    return await iverksetting.status(
        request,
        lambda source, scheme: status_of(source, scheme, case, decision, enactment),
        lambda generation: STATUS_UNKNOWN_OF_THREE.refusal(generation, case=case, decision=decision, enactment=enactment),
    )
