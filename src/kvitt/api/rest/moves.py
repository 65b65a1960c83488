"""Moves cases between contracts: chains of decisions become single payments, and these go on in the case streams (iverksetting §8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.openapi.spec import Parameter as HeaderParameter
from litestar.params import FromPath
from litestar.router import Router
from msgspec import Struct
from msgspec.structs import replace

from kvitt.api.rest.contract_examples import A_MOVED_PAYMENT, MOVED_PAYMENTS, OF_MOVED_PAYMENTS, THE_PAYMENTS, with_examples
from kvitt.api.rest.decisions import DecisionCalls
from kvitt.api.rest.routes import CHECK, RouteWork, authority_over, may_decide_somewhere
from kvitt.api.rest.utbetalinger import PATH, PaymentCallOperation, any_json, id_of, refuse_other_ids, refused
from kvitt.contracts.helved.contract import Helved
from kvitt.contracts.helved.read import derived_payment_id
from kvitt.contracts.iverksetting.answers import EnactmentStatus
from kvitt.contracts.iverksetting.contract import Iverksetting
from kvitt.contracts.iverksetting.decision import Generation
from kvitt.contracts.iverksetting.lookup import status_of
from kvitt.contracts.iverksetting.moving import DECISION_OPEN, DECISION_UNKNOWN, NO_CHAIN, RESULT_UNKNOWN, AskedMove
from kvitt.contracts.iverksetting.texts import Wording
from kvitt.contracts.utbetalinger.answers import ErrorObject
from kvitt.contracts.utbetalinger.changes import OPEN_ORDER_AT_UPDATE
from kvitt.contracts.utbetalinger.contract import NAME as SINGLE_PAYMENTS
from kvitt.contracts.utbetalinger.moving import (
    AskedIds,
    MovedItemsShape,
    MovedPaymentShape,
    case_of_payments,
    moves_of,
    read_moved,
    read_moved_items,
)
from kvitt.contracts.utbetalinger.shapes import SinglePayment, encode_payment_shape
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.case import CaseKey
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.chained import is_chain
from kvitt.disbursement.migrate_case import NOT_THERE, OPEN_ORDER, IdsAfterMoves, MigrateCase, Move, MovedChains
from kvitt.disbursement.values import Action, Payment, PaymentId, Refusal, Scheme
from kvitt.kernel.database import Connection

_ENDED_WELL: Final = frozenset({EnactmentStatus.OK, EnactmentStatus.OK_WITHOUT_PAYMENT})
_REASON: Final = "asked for by the application that owns the case"
_JSON: Final = "application/json"
_IN_OUR_WORDS: Final = {NOT_THERE: NO_CHAIN, OPEN_ORDER: DECISION_OPEN}


def move(
    connection: Connection, calls: DecisionCalls, asked: AskedMove, scheme: Scheme, by: Authority, *, generation: Generation, dry_run: bool
) -> MovedChains | Refusal:
    """Moves the chains that are meant; refused where the decision is not known, or has not ended well."""
    status = status_of(connection, scheme, asked.case_id, asked.key.decision_id, asked.key.enactment_id)
    if status not in _ENDED_WELL:
        return asked.refusal(_refused_for(status), scheme, generation)

    def choose(payments: Sequence[Payment], before: IdsAfterMoves) -> Sequence[Move]:
        meant = [_move(each, asked, scheme) for each in payments if asked.means(each, scheme)]
        if any(each.action is not Action.DELETE for each in payments):
            return meant
        left = [each for each in payments if (is_chain(each) or each.payment_id in before) and not asked.means(each, scheme)]
        return [*meant, *(_ceased(each, asked, scheme, before) for each in left)]

    contracts = Iverksetting.name, SINGLE_PAYMENTS
    found = MigrateCase(connection, calls.clock, calls.ports.contracts).run(
        (scheme, asked.case_id), contracts, choose, by=by.person or by.application, reason=_REASON, dry_run=dry_run
    )
    if isinstance(found, Refusal) and found in _IN_OUR_WORDS:
        return asked.refusal(_IN_OUR_WORDS[found], scheme, generation)
    return found


def payments_body(payments: Sequence[Payment]) -> bytes:
    """The payments as callers see single ones; those that have ceased pay nothing."""
    shown = [replace(each, periods=()) if each.action is Action.DELETE else each for each in payments]
    return msgspec.json.encode([msgspec.Raw(encode_payment_shape(each)) for each in shown])


def _refused_for(status: EnactmentStatus | None) -> Wording:
    if status is None:
        return DECISION_UNKNOWN
    return RESULT_UNKNOWN if status is EnactmentStatus.NOT_BEGUN else DECISION_OPEN


def _move(payment: Payment, asked: AskedMove, scheme: Scheme) -> Move:
    """A chain goes on under the id of the pair, or under the one that is derived of its reporting card (helved §2.3)."""
    to = asked.payment_id or _derived(payment, asked.reporting_card or "", scheme)
    return Move(payment.payment_id, to, asked.key.enactment_id or asked.key.decision_id)


def _ceased(payment: Payment, asked: AskedMove, scheme: Scheme, before: IdsAfterMoves) -> Move:
    """A chain that moves with its case, which has ceased: one that no reporting card names keeps its id, which no caller chose."""
    key = asked.key.enactment_id or asked.key.decision_id
    if not payment.reporting_card:
        return Move(payment.payment_id, PaymentId(before.get(payment.payment_id, payment.payment_id)), key, chosen=False)
    return Move(payment.payment_id, _derived(payment, payment.reporting_card, scheme), key)


def _derived(payment: Payment, reporting_card: str, scheme: Scheme) -> PaymentId:
    return derived_payment_id(scheme, payment.case_id, reporting_card, BENEFITS[payment.benefit].class_code)


class PaymentMoves(Struct, frozen=True):
    """Moves of single payments behind their routes."""

    calls: DecisionCalls
    work: RouteWork

    async def move(self, request: Request[Any, Any, Any], asked: AskedIds | Refusal, *, dry_run: bool) -> Response[bytes]:
        """Has payments go on in the stream of their scheme; of a dry run, the payments that they would be there."""
        if isinstance(asked, Refusal):
            return refused(asked)
        schemes = self.calls.access.schemes(request.scope["caller"], request.headers)  # type: ignore[typeddict-item]

        def do() -> MovedChains | Refusal:
            with self.calls.pool.connection() as connection:
                case = case_of_payments(connection, (SINGLE_PAYMENTS, Helved.name), [*asked], schemes)
                return case if isinstance(case, Refusal) else self._moved(connection, case, asked, request, dry_run=dry_run)

        found = await self.work.on_thread(do)
        if isinstance(found, Refusal):
            return refused(OPEN_ORDER_AT_UPDATE if found == OPEN_ORDER else found)
        there = {each.payment_id: each for each in found.payments}
        body = payments_body([there[to] for to in asked.values()]) if dry_run else b""
        return Response(body, status_code=HTTPStatus.OK, media_type=_JSON if dry_run else None)

    def _moved(
        self, connection: Connection, case: CaseKey, asked: AskedIds, request: Request[Any, Any, Any], *, dry_run: bool
    ) -> MovedChains | Refusal:
        by = authority_over(request, case[0])
        cases = MigrateCase(connection, self.calls.clock, self.calls.ports.contracts)
        way = SINGLE_PAYMENTS, Helved.name
        return cases.run(
            case, way, lambda payments, _: moves_of(payments, asked), by=by.person or by.application, reason=_REASON, dry_run=dry_run
        )


def router(calls: DecisionCalls, work: RouteWork) -> Router:
    """The routes by which single payments go on in the case streams."""
    moves = PaymentMoves(calls, work)
    return Router(
        PATH,
        route_handlers=[move_payment, try_to_move_payment, move_payments, try_to_move_payments],
        dependencies={"moves": Provide(lambda: moves, sync_to_thread=False, use_cache=True)},
        guards=[refuse_other_ids, may_decide_somewhere(calls.access)],
        tags=[SINGLE_PAYMENTS],
    )


_MEANINGS: Final = {
    400: "an id is no UUID, the body is none of this form, or the payments are not of one case, or not such as their stream has",
    401: "no valid token",
    403: "the application has no scheme, or may not call without a person",
    404: "no such payment is there",
    409: "a payment was moved to another id, or another case has the id; or the key was used otherwise",
    413: "the body is too long",
    415: "the body is not JSON",
    423: "the case has an order without a receipt",
    429: "the application asks too often",
    500: "kvitt failed",
    501: "payments of the scheme are not moved",
    503: "the database or the issuer is away; the request may be made again",
    504: "it is not known whether they were moved",
}
_REFUSALS: Final = with_examples(
    {
        status: ResponseSpec(ErrorObject, description=meaning, media_type=_JSON, generate_examples=False)
        for status, meaning in _MEANINGS.items()
    },
    OF_MOVED_PAYMENTS,
)
_MOVED: Final = {200: ResponseSpec(None, description="moved, or moved before"), **_REFUSALS}
_WOULD_MOVE: Final = {
    200: ResponseSpec(
        list[SinglePayment],
        description="the payments as they would be, as asked for",
        media_type=_JSON,
        generate_examples=False,
        examples=[THE_PAYMENTS],
    ),
    **_REFUSALS,
}


@dataclass
class _MovedPaymentOperation(PaymentCallOperation):
    """The operation of one payment that moves."""

    form: ClassVar[type[Struct]] = MovedPaymentShape
    examples: ClassVar[Mapping[str, Example]] = {"payment": A_MOVED_PAYMENT}
    headers: ClassVar[Sequence[HeaderParameter]] = PaymentCallOperation.headers[:1]


@dataclass
class _MovedItemsOperation(_MovedPaymentOperation):
    """The same for several."""

    form: ClassVar[type[Struct]] = MovedItemsShape
    examples: ClassVar[Mapping[str, Example]] = {"items": MOVED_PAYMENTS}


@post(
    "/{uid:str}/migrate",
    responses=_MOVED,
    operation_class=_MovedPaymentOperation,
    opt={CHECK: any_json},
    status_code=200,
    summary="Have a payment go on in its case stream",
    description="Of AAP, under another id. From then on its case is changed by the stream alone. The same once more does nothing.",
)
async def move_payment(request: Request[Any, Any, Any], uid: FromPath[str], moves: NamedDependency[PaymentMoves]) -> Response[bytes]:
    """200 without a body."""
    return await moves.move(request, read_moved(id_of(uid), await request.body()), dry_run=False)


@post(
    "/{uid:str}/migrate/dryrun",
    responses=_WOULD_MOVE,
    operation_class=_MovedPaymentOperation,
    opt={CHECK: any_json},
    status_code=200,
    summary="What the move of a payment would make",
    description="Nothing is moved.",
)
async def try_to_move_payment(request: Request[Any, Any, Any], uid: FromPath[str], moves: NamedDependency[PaymentMoves]) -> Response[bytes]:
    """The payment as it would be."""
    return await moves.move(request, read_moved(id_of(uid), await request.body()), dry_run=True)


@post(
    "/migrate",
    responses=_MOVED,
    operation_class=_MovedItemsOperation,
    opt={CHECK: any_json},
    status_code=200,
    summary="Have payments of a case go on in its case stream",
    description="All of them or none.",
)
async def move_payments(request: Request[Any, Any, Any], moves: NamedDependency[PaymentMoves]) -> Response[bytes]:
    """200 without a body."""
    return await moves.move(request, read_moved_items(await request.body()), dry_run=False)


@post(
    "/migrate/dryrun",
    responses=_WOULD_MOVE,
    operation_class=_MovedItemsOperation,
    opt={CHECK: any_json},
    status_code=200,
    summary="What the move of payments would make",
    description="Nothing is moved.",
)
async def try_to_move_payments(request: Request[Any, Any, Any], moves: NamedDependency[PaymentMoves]) -> Response[bytes]:
    """The payments as they would be."""
    return await moves.move(request, read_moved_items(await request.body()), dry_run=True)
