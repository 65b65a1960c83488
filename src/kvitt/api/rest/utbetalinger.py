"""Single payments over REST: thin routes around the contract, one path for each payment (iverksetting §3.2, §6.3)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

from litestar import Request, Response, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.openapi.spec import Parameter as HeaderParameter
from litestar.params import FromPath
from litestar.router import Router
from msgspec import Struct

from kvitt.api.rest.contract_examples import A_CORRECTION, A_PAYMENT, A_STATUS, OF_PAYMENTS, with_examples
from kvitt.api.rest.decisions import SEEN, DecisionCalls
from kvitt.api.rest.problems import RETRY_SECONDS
from kvitt.api.rest.repeats import is_again, repeat_of
from kvitt.api.rest.routes import CHECK, IDEMPOTENCY_KEY, LOCATION, FormSchema, RouteWork, authority_over, may_decide_somewhere, trace_of
from kvitt.contracts.utbetalinger.answers import UNEXPECTED, ErrorObject, encode_refusal, encode_word
from kvitt.contracts.utbetalinger.avvent import read_avvent
from kvitt.contracts.utbetalinger.changes import PaymentOperation, etag_of, no_correction, no_status, not_found
from kvitt.contracts.utbetalinger.contract import IF_MATCH, NAME, REQUEST, SIMULATION, SOURCES, as_read
from kvitt.contracts.utbetalinger.lookup import PaymentSeen, correction_status, look_up
from kvitt.contracts.utbetalinger.read import broken_by, parse_single, payment_id_of
from kvitt.contracts.utbetalinger.shapes import AvventCorrection, SinglePayment, encode_payment_shape
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.values import PaymentId, Refusal, Scheme
from kvitt.errors import InvalidInput
from kvitt.kernel.database import Connection

PATH: Final = "/utbetalinger"
_JSON: Final = "application/json"
_FORM: Final = "v1"
_LATER: Final = HTTPStatus.LOCKED


LookUp = Callable[[Connection, str, PaymentId, Collection[Scheme]], PaymentSeen | None]
"""Finds the payment of an id and a contract, if it is one of these schemes."""


class SinglePaymentRoutes(Struct, frozen=True):
    """The contract behind its routes."""

    calls: DecisionCalls
    work: RouteWork

    async def change(self, request: Request[Any, Any, Any], uid: str, operation: PaymentOperation) -> Response[Any]:
        """The answer to a call that changes a payment, durable when it is given."""
        payment_id, body = id_of(uid), await request.body()
        payment = parse_single(body)
        if isinstance(payment, Refusal):
            return refused(payment)
        by = authority_over(request, payment.benefit.scheme)
        if broken := broken_by(payment):
            return refused(broken)
        source, headers = SOURCES[payment.benefit.scheme], _headers(request, by, operation)
        decided = await self.calls.decided(
            source, payment_id.encode(), body, headers, identity=f"{NAME}/{payment_id}", read=lambda record: as_read(record, payment)
        )
        return refused(decided.refusal) if decided.refusal else _done(operation, payment_id)

    async def correct(self, request: Request[Any, Any, Any], uid: str) -> Response[bytes]:
        """The answer to a correction of a hold-back, which waits where an order of its case is open."""
        payment_id, body = id_of(uid), await request.body()
        asked = read_avvent(body)
        if isinstance(asked, Refusal):
            return refused(asked)
        by = authority_over(request, asked.benefit.scheme)

        def look() -> PaymentSeen | None:
            with self.calls.pool.connection() as connection:
                return look_up(connection, NAME, payment_id, [asked.benefit.scheme])

        # What was done before nobody knows here; then the contract says whether the payment is there.
        if not is_again(request):
            found = await self.work.on_thread(look)
            if found is None or found.shown is None or found.case_id != asked.case_id:
                return refused(not_found(payment_id))
        source, headers = SOURCES[asked.benefit.scheme], _headers(request, by, PaymentOperation.AVVENT)
        decided = await self.calls.decided(
            source, payment_id.encode(), body, headers, identity=f"{NAME}/{payment_id}/avvent", read=lambda record: as_read(record, asked)
        )
        return refused(decided.refusal) if decided.refusal else Response(b"", status_code=HTTPStatus.CREATED, media_type=None)

    async def seen(
        self,
        request: Request[Any, Any, Any],
        uid: str,
        show: Callable[[PaymentSeen], Response[bytes] | None],
        missing: Refusal,
        *,
        look_up: LookUp = look_up,
    ) -> Response[bytes]:
        """A payment of the caller's schemes, as `show` has it; `look_up` finds it."""
        payment_id, schemes = id_of(uid), self.calls.access.schemes(request.scope["caller"], request.headers)  # type: ignore[typeddict-item]

        def look() -> PaymentSeen | None:
            with self.calls.pool.connection() as connection:
                return look_up(connection, NAME, payment_id, schemes)

        found = await self.work.on_thread(look)
        return (show(found) if found else None) or refused(missing)


def router(calls: DecisionCalls, work: RouteWork) -> Router:
    """The routes of the contract, for applications of any of its schemes: a body says which one is meant."""
    routes = SinglePaymentRoutes(calls, work)
    return Router(
        PATH,
        route_handlers=[make, show, change, cease, status, correct, status_of_correction],
        dependencies={NAME: Provide(lambda: routes, sync_to_thread=False, use_cache=True)},
        guards=[refuse_other_ids, may_decide_somewhere(calls.access)],
        tags=[NAME],
    )


def write_refusal(refusal: Refusal) -> tuple[str | None, bytes]:
    """A refusal in the form of the contract."""
    return _JSON, encode_refusal(refusal if refusal.status != HTTPStatus.INTERNAL_SERVER_ERROR else UNEXPECTED)


def refuse_other_ids(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """An id in the path that is none is refused before all else. Raises InvalidInput."""
    if (uid := connection.path_params.get("uid")) is not None:
        id_of(uid)


def id_of(uid: str) -> PaymentId:
    """The id of a payment in a path. Raises InvalidInput for what is none."""
    found = payment_id_of(uid)
    if isinstance(found, Refusal):
        raise InvalidInput(found.text)
    return found


def _headers(request: Request[Any, Any, Any], by: Authority, operation: PaymentOperation) -> CallHeaders:
    repeat = repeat_of(request)
    named = {IF_MATCH: request.headers.get("if-match"), SIMULATION: request.headers.get(SEEN), REQUEST: repeat.digest if repeat else None}
    policy = {**by.rules(), **{name: value for name, value in named.items() if value is not None}}
    return CallHeaders(operation.value, _FORM, by.application, by.person, by.approver, policy, trace_of(request))


def _done(operation: PaymentOperation, payment_id: PaymentId) -> Response[bytes]:
    if operation is PaymentOperation.POST:
        return Response(b"", status_code=HTTPStatus.CREATED, media_type=None, headers={LOCATION: f"{PATH}/{payment_id}"})
    return Response(b"", status_code=HTTPStatus.NO_CONTENT, media_type=None)


def refused(refusal: Refusal) -> Response[bytes]:
    """The contract's object; what may be asked again once an order has its receipt says so."""
    content_type, body = write_refusal(refusal)
    headers = {"retry-after": RETRY_SECONDS} if refusal.status == _LATER else {}
    return Response(body, status_code=refusal.status, media_type=content_type, headers=headers)


_MEANINGS: Final[Mapping[int, str]] = {
    400: "the id is no UUID, the body is none of this form, or the payment breaks a rule, or changes what is for life",
    401: "no valid token",
    403: "the application has no scheme, or another one than the payment; or it needs two people",
    404: "no such payment is there",
    409: "the payment is there already, or nothing would change; the case belongs to another contract; or the key was used otherwise",
    412: "the payment is another one than `If-Match` names",
    413: "the body is too long",
    415: "the body is not JSON",
    423: "the case has an order without a receipt",
    429: "the application asks too often",
    500: "kvitt failed",
    503: "the database or the issuer is away; the request may be made again",
    504: "it is not known whether it was received",
}
_OF_LOOKS: Final = (400, 401, 403, 404, 429, 500, 503)


def _refusals(statuses: Sequence[int]) -> dict[int, ResponseSpec]:
    specs = {
        status: ResponseSpec(ErrorObject, description=_MEANINGS[status], media_type=_JSON, generate_examples=False) for status in statuses
    }
    return with_examples(specs, OF_PAYMENTS)


_CHANGED: Final = {204: ResponseSpec(None, description="done, and durable"), **_refusals([*_MEANINGS])}
_MADE: Final = {
    201: ResponseSpec(None, description="made, and durable; `Location` is its path"),
    **_refusals([status for status in _MEANINGS if status not in (404, 412)]),
}
_CORRECTED: Final = {
    201: ResponseSpec(None, description="stored, and sent once no order of the case is open"),
    **_refusals([status for status in _MEANINGS if status not in (412, 423)]),
}
_SHOWN: Final = {
    200: ResponseSpec(
        SinglePayment, description="the payment; `ETag` names its state", media_type=_JSON, generate_examples=False, examples=[A_PAYMENT]
    ),
    **_refusals(_OF_LOOKS),
}
_STATUS: Final = {
    200: ResponseSpec(str, description="how far its last change has come", media_type=_JSON, generate_examples=False, examples=[A_STATUS]),
    **_refusals(_OF_LOOKS),
}


def _header(name: str, meaning: str) -> HeaderParameter:
    schema = Schema(type=OpenAPIType.STRING, min_length=1, max_length=255, pattern="^[ -~]+$")
    return HeaderParameter(name, "header", schema=schema, description=meaning)


@dataclass
class PaymentCallOperation(Operation):
    """An operation whose body the route reads by the contract's own rules."""

    form: ClassVar[type[Struct]] = SinglePayment
    examples: ClassVar[Mapping[str, Example]] = {"payment": A_PAYMENT}
    headers: ClassVar[Sequence[HeaderParameter]] = (
        IDEMPOTENCY_KEY,
        _header(SEEN, "the key of the dry run whose simulation an approver saw"),
    )

    def __post_init__(self) -> None:
        """Adds what no signature has."""
        media = OpenAPIMediaType(schema=FormSchema.of(self.form), examples={**self.examples} or None)
        self.request_body = RequestBody(content={_JSON: media}, required=True)
        self.parameters = [*(self.parameters or []), *self.headers]


@dataclass
class _CorrectionOperation(PaymentCallOperation):
    """The same for a correction of a hold-back."""

    form: ClassVar[type[Struct]] = AvventCorrection
    examples: ClassVar[Mapping[str, Example]] = {"correction": A_CORRECTION}
    headers: ClassVar[Sequence[HeaderParameter]] = PaymentCallOperation.headers[:1]


@dataclass
class _PaymentChangeOperation(PaymentCallOperation):
    """The same for a payment that is there."""

    headers: ClassVar[Sequence[HeaderParameter]] = (
        *PaymentCallOperation.headers,
        _header("If-Match", "the `ETag` of the state that is changed"),
    )


def _path_of(request: Request[Any, Any, Any]) -> str:
    return f"{PATH}/{id_of(request.path_params['uid'])}"


def any_json(_: bytes) -> None:
    """Nothing is checked before the contract reads it; only that it is said to be JSON."""


@post(
    "/{uid:str}",
    responses=_MADE,
    operation_class=PaymentCallOperation,
    opt={CHECK: any_json, LOCATION: _path_of},
    status_code=201,
    summary="Make a payment",
    description="Under an id that the caller chooses. One that has ceased, or that the rail did not take, may be made again.",
)
async def make(request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]) -> Response[bytes]:
    """201 without a body, and the payment's path."""
    return await utbetalinger.change(request, uid, PaymentOperation.POST)


@put(
    "/{uid:str}",
    responses=_CHANGED,
    operation_class=_PaymentChangeOperation,
    opt={CHECK: any_json},
    status_code=204,
    summary="Change a payment",
    description="The body is its whole new state.",
)
async def change(request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]) -> Response[None]:
    """204 without a body."""
    return await utbetalinger.change(request, uid, PaymentOperation.PUT)


@delete(
    "/{uid:str}",
    responses=_CHANGED,
    operation_class=_PaymentChangeOperation,
    opt={CHECK: any_json},
    status_code=204,
    summary="Cease a payment",
    description="The body is the payment as it stands; its periods must be those that are paid.",
)
async def cease(request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]) -> Response[None]:
    """204 without a body."""
    return await utbetalinger.change(request, uid, PaymentOperation.DELETE)


@get("/{uid:str}", responses=_SHOWN, summary="A payment as it stands, or as it will once its order is taken")
async def show(request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]) -> Response[bytes]:
    """The payment as it may be put again, unchanged."""

    def shown(found: PaymentSeen) -> Response[bytes] | None:
        if found.shown is None:
            return None
        return Response(encode_payment_shape(found.shown), media_type=_JSON, headers={"etag": etag_of(found.shown)})

    return await utbetalinger.seen(request, uid, shown, not_found(id_of(uid)))


@get("/{uid:str}/status", responses=_STATUS, summary="How far the last change of a payment has come")
async def status(
    request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]
) -> Response[bytes]:
    """A JSON text; also of a payment that has ceased."""
    return await utbetalinger.seen(request, uid, _said, no_status(id_of(uid)))


def _said(found: PaymentSeen) -> Response[bytes]:
    return Response(encode_word(found.status), media_type=_JSON)


@get("/{uid:str}/avvent/status", responses=_STATUS, summary="How far the last correction of a hold-back has come")
async def status_of_correction(
    request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]
) -> Response[bytes]:
    """A JSON text."""
    return await utbetalinger.seen(request, uid, _said, no_correction(id_of(uid)), look_up=correction_status)


@post(
    "/{uid:str}/avvent",
    responses=_CORRECTED,
    operation_class=_CorrectionOperation,
    opt={CHECK: any_json},
    status_code=201,
    summary="Correct a hold-back that was registered by mistake",
    description="An order of its own, without lines; the status of the payment stays as it is.",
)
async def correct(
    request: Request[Any, Any, Any], uid: FromPath[str], utbetalinger: NamedDependency[SinglePaymentRoutes]
) -> Response[bytes]:
    """201 without a body."""
    return await utbetalinger.correct(request, uid)
