"""Asks a rail to cancel an order: the request is stored with its bytes, and with the entry of the two people who ask (design §4, §11)."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple

import psycopg

from kvitt.disbursement.approvable import OrderNamed, effect_on_order
from kvitt.disbursement.cancel.request import CancellationRequest
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import CancellingRail
from kvitt.disbursement.states import OrderState
from kvitt.errors import NotInThatState, OrderNotFound
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL: Final = load("cancel", "kvitt.disbursement")
ACT: Final = "order cancel"
_PUT_AGAIN: Final = frozenset({"unknown", "sent"})
"""States of a request that nobody has answered, and that may never have come."""
_MAY_BE_THERE: Final = frozenset({OrderState.SENDING, OrderState.SENT, OrderState.UNKNOWN, OrderState.ACCEPTED})


class _OrderToCancel(NamedTuple):
    rail: str
    area: str
    state: OrderState
    may_have_left: bool
    sum_kroner: Kroner
    message: bytes
    key_day: date | None
    came_back: str | None


class _LastRequest(NamedTuple):
    cancellation_id: str
    number: int
    state: str
    asked_at: datetime
    sent_at: datetime | None
    resends: int
    reason: str


def cancel(connection: Connection, clock: Clock, ports: Ports, order_id: str, operator: Operator) -> str:
    """Has the rail of an order asked to cancel it, and says so; what it answers is kept, and until then nothing changes.

    Where the last request has left, or may have, and is not answered, that one is put once more as it was. Raises NeedsSecondPerson,
    OrderNotFound, InvalidOrderMessage, and NotInThatState where there is nothing that the rail could cancel, or it is asked already.
    """
    operator.need_second_person()
    with transaction(connection, "order", order_id), connection.cursor() as cursor:
        order, rail = _order_to_cancel(cursor, ports, order_id)
        last = _last_request(cursor, order_id)
        if last is not None and last.state in _PUT_AGAIN:
            cursor.execute(_SQL.cancellation_ready_again, {"cancellation_id": last.cancellation_id})
            note(cursor, clock(), "cancel again", operator, order_id)
            return f"the request to cancel order {order_id} will be put once more"
        _refuse_to_ask(order, rail, last, order_id)
        number, message, now = last.number + 1 if last else 1, ports.rails.leaving(order.rail, order.message, order.key_day), clock()
        _store(cursor, rail, CancellationRequest(order_id, number, message, operator.reason, now), order.key_day)
        note(cursor, now, "cancel", operator, order_id)
    return f"the rail will be asked to cancel order {order_id}"


def cancel_act(clock: Clock, ports: Ports) -> ApprovableAct[OrderNamed]:
    """The same, asked for by one person and confirmed by another."""

    def run(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        return cancel(connection, clock, ports, asked.order_id, operator)

    def asks(connection: Connection, asked: OrderNamed) -> str:
        with connection.cursor() as cursor:
            order, _ = _order_to_cancel(cursor, ports, asked.order_id)
            request = _last_request(cursor, asked.order_id)
        assert request is not None, "it was just made"
        return (
            f"{order.rail} would be asked to cancel order {asked.order_id} of {order.area}, check sum {order.sum_kroner} kr, which is "
            f"{order.state.value}; {_how(request)}. It may refuse"
        )

    def preview(connection: Connection, asked: OrderNamed) -> ShownEffect:
        return effect_on_order(run, connection, asked, hears=asks)

    return ApprovableAct(ACT, OrderNamed, lambda asked: asked.order_id, preview, run)


def _order_to_cancel(cursor: psycopg.Cursor[Any], ports: Ports, order_id: str) -> tuple[_OrderToCancel, CancellingRail]:
    """An order that its rail may have and can be asked to cancel, locked, with that rail. Raises OrderNotFound, NotInThatState."""
    order = fetch_one(cursor, _OrderToCancel, _SQL.order_to_cancel, {"order_id": order_id}, state=OrderState)
    if order is None:
        raise OrderNotFound(order_id)
    rail = ports.rails.cancelling.get(order.rail)
    if order.state is OrderState.READY and not order.may_have_left:
        raise NotInThatState(f"order {order_id} has never left: `kvitt order withdraw` takes it back")
    if rail is None:
        raise NotInThatState(f"order {order_id} is {order.state.value}, and {order.rail} can not be asked to cancel an order")
    if order.state is OrderState.READY:
        raise NotInThatState(f"order {order_id} is about to be sent once more: it can be cancelled when it has left")
    if order.state not in _MAY_BE_THERE:
        raise NotInThatState(f"order {order_id} is {order.state.value}: the rail pays nothing of it that could be cancelled")
    return order, rail


def _last_request(cursor: psycopg.Cursor[Any], order_id: str) -> _LastRequest | None:
    return fetch_one(cursor, _LastRequest, _SQL.last_cancellation, {"order_id": order_id})


def _how(request: _LastRequest) -> str:
    """Says whether a request leaves that was just made, or one once more that is not answered."""
    if not request.resends:
        return "the reason that is given here would go with it"
    since = f"sent at {_moment(request.sent_at)}" if request.sent_at else f"made at {_moment(request.asked_at)} and may never have left"
    return (
        f"the request that was {since} is not answered since, and would be put once more as it was, as copy {request.resends + 1}, "
        f"with the reason that was given then: {request.reason}. The rail may have it already"
    )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _refuse_to_ask(order: _OrderToCancel, rail: CancellingRail, last: _LastRequest | None, order_id: str) -> None:
    """Raises NotInThatState unless the rail can be asked by a new request."""
    if order.came_back is not None and not rail.capabilities.answers_parts:
        raise NotInThatState(f"order {order_id} is {order.came_back} at the rail already")
    if last is not None and not _may_be_asked_anew(last, rail):
        raise NotInThatState(_asked_already(order_id, last))


def _may_be_asked_anew(last: _LastRequest, rail: CancellingRail) -> bool:
    """Whether the last request is answered, and leaves something to cancel: of a rail that answers by parts perhaps all but one."""
    return last.state == "refused" or (last.state == "agreed" and rail.capabilities.answers_parts)


def _asked_already(order_id: str, last: _LastRequest) -> str:
    if last.state == "agreed":
        return f"order {order_id} is cancelled: the rail has agreed"
    return f"order {order_id} was asked to be cancelled at {_moment(last.asked_at)}, and that request is about to leave"


def _store(cursor: psycopg.Cursor[Any], rail: CancellingRail, request: CancellationRequest, key_day: date | None) -> None:
    row = {
        "cancellation_id": request.cancellation_id,
        "order_id": request.order_id,
        "number": request.number,
        "rail": rail.name,
        "key_day": key_day,
        "reason": request.reason,
        "message": rail.encode_cancellation(request),
        "asked_at": request.asked_at,
    }
    cursor.execute(_SQL.add_cancellation, row)
