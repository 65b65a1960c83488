"""Resolve: two people make the rail's word about an order theirs, or keep what stands; one transaction each (design §12).

Adopting turns the order and its payments round and publishes it anew. What was derived from the state that was wrong and has not left is
taken back, and derived again in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct
from psycopg.errors import UniqueViolation

from kvitt.disbursement import payment_document
from kvitt.disbursement.case import Case, load_payments
from kvitt.disbursement.case_queue import dequeue_next, load_cases
from kvitt.disbursement.contract import Contract
from kvitt.disbursement.events import (
    AreaOutcome,
    CaseListed,
    Corrected,
    PaymentVersion,
    Settled,
    WithRail,
)
from kvitt.disbursement.holding import IN_CONTRADICTION
from kvitt.disbursement.operate import order_in_short
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import (
    Candidate,
    Observation,
    Rail,
    ReceiptOutcome,
)
from kvitt.disbursement.receipts import case_lists, lock_messages, progress_of, said_of
from kvitt.disbursement.states import ORDER_TURNS, OrderState, What
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork
from kvitt.disbursement.values import (
    Area,
    Payment,
    PaymentId,
    Scheme,
)
from kvitt.errors import NotInThatState
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value, fetch_values, look_up
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL, _ORDERS, _OPERATE = (
    load("contradictions", "kvitt.disbursement"),
    load("orders", "kvitt.disbursement"),
    load("operate", "kvitt.disbursement"),
)


class DerivedAgain(Struct, frozen=True):
    """An order that a message leads to now."""

    order_id: str
    area: str
    message_no: int
    lines: int


class Effect(Struct, frozen=True):
    """Holds what an act has done, or would do: `state` is what the order is by it, `payments` those of the order that it turned round.

    `taken_back` are orders that had not left, `derived` what queued messages lead to; `paid` is accepted afterwards, `then_paid` once
    the rail has accepted `derived`; `left_open` counts the case's other contradictions.
    """

    order_id: str
    scheme: Scheme
    case_id: str
    state: OrderState
    payments: tuple[str, ...]
    taken_back: tuple[str, ...]
    derived: tuple[DerivedAgain, ...]
    paid: tuple[Payment, ...]
    then_paid: tuple[Payment, ...]
    left_open: int


class _Contradiction(NamedTuple):
    """The newest contradiction of an order, with the answer that it stands in."""

    contradiction_no: int
    receipt_no: int
    ours: OrderState
    rails: OrderState
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    body: bytes
    place: int


class _PlacedVersion(NamedTuple):
    position: int
    made: PaymentVersion


class _Turned(Struct, frozen=True):
    """The payments of an order after adopting: its versions, as they stand in it, and what holds in their place if they fell."""

    versions: tuple[PaymentVersion, ...] = ()
    fallen: tuple[tuple[str, PaymentVersion | None], ...] = ()


class Resolve:
    """Resolves contradictions on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports) -> None:
        self._connection, self._clock, self._ports = connection, clock, ports

    def adopt(self, order_id: str, operator: Operator, *, dry_run: bool = False) -> Effect:
        """The rail's word about an order becomes ours; a dry run does all of it and takes it back.

        Raises NeedsSecondPerson, OrderNotFound, and NotInThatState, with what has to be done first, when nothing contradicts the order,
        when another order of the case may be with the rail, or when later accepted orders stand on what would be turned round.
        """
        return self._resolve(order_id, operator, What.ADOPTED, dry_run=dry_run)

    def keep(self, order_id: str, operator: Operator, *, dry_run: bool = False) -> Effect:
        """Lets what stands of an order go on to stand, whatever the rail says. Raises NeedsSecondPerson, OrderNotFound, NotInThatState."""
        return self._resolve(order_id, operator, What.KEPT, dry_run=dry_run)

    def _resolve(self, order_id: str, operator: Operator, what: What, *, dry_run: bool) -> Effect:
        if not dry_run:
            operator.need_second_person()
        with transaction(self._connection, "order", order_id) as outer, self._connection.cursor() as cursor:
            effect = self._act(cursor, order_id, operator, what)
            if dry_run:
                raise psycopg.Rollback(outer)
            fault_point("resolve.before_commit")
        if not dry_run:
            fault_point("resolve.after_commit")
        return effect

    def _act(self, cursor: psycopg.Cursor[Any], order_id: str, operator: Operator, what: What) -> Effect:
        key = order_in_short(cursor, order_id).case_key
        case = load_cases(cursor, [key])[0]
        opened = _open_contradiction(cursor, order_id)
        act = _Resolving(cursor, case, _order(cursor, order_id), opened, self._clock(), ports=self._ports)
        turned, taken_back = act.adopt() if what is What.ADOPTED else (act.keep(), ())
        act.close(what, operator)
        dequeue_next(cursor, act.work, {key: case}, act.now, self._ports)
        look_up(cursor, load_payments(cursor, [case]))
        act.work.cases = [case.step()]
        act.work.write(cursor)
        note(cursor, act.now, "adopt" if what is What.ADOPTED else "keep", operator, order_id)
        return _effect(act, what, turned, taken_back)


def _open_contradiction(cursor: psycopg.Cursor[Any], order_id: str) -> _Contradiction:
    found = fetch_one(cursor, _Contradiction, _SQL.contradiction_of_order, (order_id,), ours=OrderState, rails=OrderState)
    if found is None:
        raise NotInThatState(f"no receipt contradicts what stands of order {order_id}")
    if found.resolved_at is not None:
        raise NotInThatState(
            f"the contradiction about order {order_id} was resolved before: {found.resolution} by {found.resolved_by}"
            f" at {found.resolved_at:%Y-%m-%d %H:%M:%S}"
        )
    return found


def _order(cursor: psycopg.Cursor[Any], order_id: str) -> Candidate:
    found = fetch_one(cursor, Candidate, _SQL.order_to_turn, (order_id,), state=OrderState, said=tuple)
    assert found is not None, "orders are never deleted"
    return found


class _OpenOrderOfCase(NamedTuple):
    order_id: str
    number: int
    message_no: int
    state: str
    may_have_left: bool
    message: bytes


class _TornMessage(NamedTuple):
    """A message with an order that has left and one that has not."""

    message_no: int
    has_left: str
    has_not_left: str | None


class _LaterOrder(NamedTuple):
    order_id: str
    makes_anew: bool


class _KnownOtherwise(NamedTuple):
    in_area: bool
    at_all: bool


class _OutcomeOfOrder(NamedTuple):
    area: str
    state: str
    body: bytes | None
    place: int | None


class _Resolving:
    """One act on a locked case inside its transaction."""

    def __init__(
        self, cursor: psycopg.Cursor[Any], case: Case, order: Candidate, opened: _Contradiction, now: datetime, *, ports: Ports
    ) -> None:
        self._cursor, self.case, self.order, self.opened, self._contracts = cursor, case, order, opened, ports.contracts
        self.now = case.moment(now)
        self.work = UnitOfWork()
        self._rail: Rail = ports.rails.of[case.scheme]
        self.receipt: Observation = self._rail.read(opened.body)[opened.place]

    def keep(self) -> _Turned:
        """Makes what stands the word of people from now on."""
        if fetch_value(self._cursor, _SQL.keep_order, (self.order.order_id,)) is None:
            raise NotInThatState(f"order {self.order.order_id} is no longer {self.opened.ours.value}")
        return _Turned()

    def adopt(self) -> tuple[_Turned, tuple[str, ...]]:
        """Turns the order and its payments round and publishes that; returns what became of the payments, and the orders taken back."""
        assert self.opened.rails in ORDER_TURNS[self.opened.ours], "the store opens no other contradictions"
        not_left = self._not_left()
        self._refuse_if_built_upon()
        messages = sorted({each.message_no for each in not_left})
        locked = lock_messages(self._cursor, [self.order.message_no, *messages], self._contracts)
        self.now = max(self.now, *(each.last_at for each in locked.values()))
        asked = locked[self.order.message_no]
        had_left = fetch_value(self._cursor, _SQL.turn_order, {"order_id": self.order.order_id, "now": self.now})
        if had_left is None:
            raise NotInThatState(f"order {self.order.order_id} is no longer {self.opened.ours.value}")
        turned = self._accept() if self.opened.rails is OrderState.ACCEPTED else self._reject()
        outbox = OutboxWriter(self._contracts, self.work)
        progress = progress_of(self._cursor, [self.order.message_no]).get(self.order.message_no)
        if not had_left and progress and progress.with_rail:
            outbox.publish(WithRail(), asked, self.now)
        outcome = ReceiptOutcome(self.opened.rails.value)
        settled = Settled(self.order, self.receipt, self.opened.receipt_no, outcome, self.opened.body)
        answer = outbox.publish(Corrected(settled, turned.versions, turned.fallen, self._outcomes()), asked, self.now)
        if answer is not None:
            self._cursor.execute(_SQL.correct_answer, (answer, self.order.message_no))
        if turned.versions:
            self._announce_case_list(self._contracts.of[asked.source])
        self._take_back(not_left)
        return turned, tuple(each.order_id for each in not_left)

    def _not_left(self) -> list[_OpenOrderOfCase]:
        """The open orders of the case: none of them may have left, nor any other order of their messages."""
        orders = fetch(self._cursor, _OpenOrderOfCase, _SQL.open_orders_of_case, (self.order.case_no,))
        for each in orders:
            if each.may_have_left:
                raise NotInThatState(
                    f"order {each.order_id} of the case is {each.state} and may be with the rail:"
                    " wait for its receipt, or decide it, and then adopt"
                )
        for torn in fetch(self._cursor, _TornMessage, _SQL.left_of_messages, ([each.message_no for each in orders],)):
            raise NotInThatState(
                f"message {torn.message_no} can not be derived again as a whole: order {torn.has_left} of it has left,"
                f" order {torn.has_not_left} has not;"
                f" take that one back with `kvitt order withdraw` (its sender hears FEILET), and then adopt"
            )
        return orders

    def _refuse_if_built_upon(self) -> None:
        arguments = {"order_id": self.order.order_id}
        later = fetch_values(self._cursor, _SQL.later_versions, arguments)
        built_on = fetch(self._cursor, _LaterOrder, _SQL.later_lines, arguments)
        if self.opened.rails is OrderState.ACCEPTED:
            if doubled := [*later, *(each.order_id for each in built_on if each.makes_anew and each.order_id not in later)]:
                raise NotInThatState(
                    f"later accepted orders pay the same payments: {', '.join(doubled)}; the rail pays by their lines and by those of this"
                    " order. Have this order reversed at the rail, and keep what stands"
                )
            return
        if built := [*later, *(each.order_id for each in built_on if each.order_id not in later)]:
            raise NotInThatState(
                f"later accepted orders stand on the lines of order {self.order.order_id}: {', '.join(built)};"
                " ask the rail about them, the newest first"
            )

    def _accept(self) -> _Turned:
        order_id = self.order.order_id
        self._cursor.execute(_SQL.supersede_by_dropped, (order_id,))
        try:
            rows = fetch(self._cursor, _PlacedVersion, _SQL.accept_dropped, (order_id,), made=PaymentVersion)
        except UniqueViolation as error:
            raise NotInThatState(f"a payment of order {order_id} is another case's by now; settle that case first") from error
        self.case.known_to_rail(Area(self.order.area), self.order.person)
        versions = _in_order(rows)
        self.case.learnt(each.payment_id for each in versions)
        return _Turned(versions)

    def _reject(self) -> _Turned:
        versions = _in_order(fetch(self._cursor, _PlacedVersion, _SQL.drop_accepted, (self.order.order_id,), made=PaymentVersion))
        payment_ids = [each.payment_id for each in versions]
        arguments = {"case_no": self.order.case_no, "payment_ids": payment_ids}
        again = {each.payment_id: each for each in fetch(self._cursor, PaymentVersion, _SQL.hold_again, arguments)}
        known = fetch_one(self._cursor, _KnownOtherwise, _SQL.known_otherwise, {"case_no": self.order.case_no, "area": self.order.area})
        assert known is not None, "the answer is one row"
        self.case.unknown_to_rail(Area(self.order.area), in_area=known.in_area or not self.order.is_first_order, at_all=known.at_all)
        fallen = tuple((payment_id, again.get(payment_id)) for payment_id in payment_ids)
        return _Turned(versions, fallen)

    def _outcomes(self) -> list[AreaOutcome]:
        orders = fetch(self._cursor, _OutcomeOfOrder, _SQL.outcomes_of_message, (self.order.message_no,))
        return [AreaOutcome(Area(each.area), each.state == OrderState.ACCEPTED, self._said_of(each)) for each in orders]

    def _said_of(self, order: _OutcomeOfOrder) -> Observation | None:
        if order.state == OrderState.WITHDRAWN:
            return None
        assert order.body is not None, "a receipt settled the order"
        assert order.place is not None, "and a place in it"
        return self._rail.read(order.body)[order.place]

    def _announce_case_list(self, contract: Contract) -> None:
        outbox = OutboxWriter(self._contracts, self.work)
        for payment_ids in case_lists(self._cursor, [self.case.case_no]).values():
            by = f"{self.order.order_id}\0{self.opened.receipt_no}"
            listed = CaseListed(self.case.scheme, self.case.case_id, payment_ids, self.order.message_no, by)
            outbox.announce(contract, listed, self.order.message_no, self.now)

    def _take_back(self, orders: Sequence[_OpenOrderOfCase]) -> None:
        """Orders that have not left, and were derived from what no longer stands, go; their messages wait again."""
        if not orders:
            return
        order_ids = [each.order_id for each in orders]
        gone = fetch_values(self._cursor, _SQL.take_back, {"now": self.now, "order_ids": order_ids})
        if len(gone) < len(orders):
            raise NotInThatState("an order of the case has just left: wait for its receipt, and then adopt")
        self._cursor.execute(_ORDERS.drop_payments, [order_ids], binary=True)
        by_message: dict[int, list[bytes]] = {}
        for each in orders:
            by_message.setdefault(each.message_no, []).append(each.message)
        self._cursor.execute(_SQL.requeue, (list(by_message),))
        self.case.open_orders -= len(orders)
        self.case.queued += len(by_message)
        for message_no, documents in by_message.items():
            self.case.note(self.work, self.now, What.REQUEUED, digest(*documents), message_no=message_no)

    def close(self, what: What, operator: Operator) -> None:
        """Closes the contradiction; the case's orders are free when it was the last one."""
        arguments = {
            "now": self.now,
            "resolution": what.value,
            "by": operator.name,
            "approved_by": operator.approved_by,
            "reason": operator.reason,
            "contradiction_no": self.opened.contradiction_no,
        }
        closed = fetch_value(self._cursor, _SQL.resolve, arguments)
        assert closed is not None, "the case is locked, and so is what contradicts it"
        self.case.contradictions -= 1
        content = said_of(self.order.message, self.receipt)
        order_id, message_no = self.order.order_id, self.order.message_no
        self.case.note(self.work, self.now, what, content, message_no=message_no, order_id=order_id, receipt_no=self.opened.receipt_no)
        if not self.case.contradictions:
            self._cursor.execute(_SQL.free_orders, {"case_no": self.case.case_no, "reason": IN_CONTRADICTION.encode()})


def _in_order(rows: Sequence[_PlacedVersion]) -> tuple[PaymentVersion, ...]:
    return tuple(each.made for each in sorted(rows, key=attrgetter("position")))


def _effect(act: _Resolving, what: What, turned: _Turned, taken_back: tuple[str, ...]) -> Effect:
    case, work = act.case, act.work
    then: dict[PaymentId, Payment] = dict(case.payments)
    then.update({PaymentId(row.payment_id): payment_document.decode(row.document) for row in work.payments})
    lines = [line.order_id for line in work.lines]
    payments = tuple(each.payment_id for each in turned.versions)
    state = act.opened.rails if what is What.ADOPTED else act.opened.ours
    return Effect(
        order_id=act.order.order_id,
        scheme=case.scheme,
        case_id=case.case_id,
        state=state,
        payments=payments,
        taken_back=taken_back,
        derived=tuple(DerivedAgain(row.order_id, row.area, row.message_no, lines.count(row.order_id)) for row in work.orders),
        paid=tuple(case.payments.values()),
        then_paid=tuple(then.values()),
        left_open=case.contradictions,
    )
