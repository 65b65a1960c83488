"""Acts of operators: stop and resume sending, release, withdraw, resend and decide orders; each act with a reason, and audited."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.disbursement.case import Case, CaseKey, lock_cases
from kvitt.disbursement.case_queue import dequeue_next, load_cases
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.events import MessageInProgress, OrderWithdrawn
from kvitt.disbursement.holding import RELEASABLE, UNCHECKED, HoldKind, HoldReason, decode_all
from kvitt.disbursement.order_checks import skip_check
from kvitt.disbursement.outside import ExemptPair, end_exempt_pairs, exempt_pairs, remember_exempt_pairs
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Rail, ReceiptOutcome
from kvitt.disbursement.receipts import BY_HAND, lock_messages, progress_of
from kvitt.disbursement.rows import MessageStep
from kvitt.disbursement.settle import RawReceipt, Settle
from kvitt.disbursement.states import MessageState, OrderState, What
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork
from kvitt.disbursement.values import Area, Scheme
from kvitt.errors import NotInThatState, OrderNotFound, ReceiptNotFound
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value, fetch_values
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL, _ORDERS = load("operate", "kvitt.disbursement"), load("orders", "kvitt.disbursement")
EVERYWHERE = "*"


class Stop(Struct, frozen=True):
    """A standing order not to send over a rail to an area (`*` = any of either)."""

    rail: str
    area: str
    stopped_by: str
    stopped_at: datetime
    reason: str


class OpenOrder(Struct, frozen=True):
    """An order that an operator may have to look at."""

    order_id: str
    scheme: str
    case_id: str
    area: str
    state: str
    held_for: tuple[HoldReason, ...]
    made_at: datetime
    message_no: int
    rail_says: str | None = None
    """What a receipt says against the state, until two people have resolved it."""


class UnknownPayment(Struct, frozen=True):
    """A payment that an import found on a case's list, and learnt nothing of; `*` is the whole case."""

    scheme: str
    case_id: str
    payment_id: str


class OddReceipt(Struct, frozen=True):
    """A receipt that changed nothing and that a person should look at; `note` says why, or is the rail's own words.

    `is_open`: nobody has closed it, and what it was about is not settled otherwise.
    """

    receipt_no: int
    received_at: datetime
    outcome: str
    severity: str | None
    code: str | None
    order_id: str | None
    size: int
    note: str
    closed_at: datetime | None
    closed_by: str | None
    closed_because: str | None
    is_open: bool


class OrderInShort(NamedTuple):
    """An order with the case that it is of."""

    scheme: Scheme
    case_id: str
    case_no: int
    message_no: int
    state: str
    held_for: tuple[HoldReason, ...]
    message: bytes

    @property
    def case_key(self) -> CaseKey:
        """By what the case is locked."""
        return self.scheme, self.case_id


class _OrderProgress(NamedTuple):
    state: str
    may_have_left: bool
    contradicted: bool


class _Closed(NamedTuple):
    outcome: str
    closed_by: str | None
    closed_because: str | None


def order_in_short(cursor: psycopg.Cursor[Any], order_id: str) -> OrderInShort:
    """An order by its id. Raises OrderNotFound."""
    found = fetch_one(cursor, OrderInShort, _SQL.case_of_order, (order_id,), scheme=Scheme, held_for=decode_all)
    if found is None:
        raise OrderNotFound(order_id)
    return found


def _not_to_close(receipt_no: int, receipt: _Closed | None) -> ReceiptNotFound | NotInThatState:
    """Why a receipt can not be closed, from its outcome and who closed it."""
    if receipt is None:
        return ReceiptNotFound(f"no receipt has the number {receipt_no}")
    outcome = receipt.outcome
    if receipt.closed_by is not None:
        return NotInThatState(f"receipt {receipt_no} was closed by {receipt.closed_by}: {receipt.closed_because}")
    if outcome == ReceiptOutcome.CONTRADICTS:
        return NotInThatState(f"receipt {receipt_no} contradicts what stands of its order: two people adopt the rail's word, or keep ours")
    return NotInThatState(f"receipt {receipt_no} is {outcome}: it waits for nobody")


def _where(rail: str, areas: Sequence[str]) -> str:
    """Returns what was stopped, as the operators' chain names it."""
    return ",".join(areas) if rail == EVERYWHERE else f"{rail}: {','.join(areas)}"


def areas_of(scheme: Scheme) -> list[str]:
    """All areas of a scheme, for stopping the whole of it."""
    return [area for area, terms in AREAS.items() if terms.scheme is scheme]


class Operate:
    """Operator actions on one connection, each one transaction. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports) -> None:
        self._connection, self._clock, self._ports = connection, clock, ports

    @property
    def connection(self) -> Connection:
        """The connection, for looking something up on it between two acts."""
        return self._connection

    def stop(self, areas: Sequence[str], operator: Operator, rail: str = EVERYWHERE) -> None:
        """Nothing ready is sent over a rail to these areas (`*` = any) until resumed; messages are taken in and derived all the same.

        Raises UnknownRail.
        """
        if rail != EVERYWHERE:
            self._ports.rails.named(rail)
        with transaction(self._connection, "the stop"), self._connection.cursor() as cursor:
            now = self._clock()
            arguments = {"rail": rail, "areas": list(areas), "reason": operator.reason, "by": operator.name, "now": now}
            cursor.execute(_SQL.stop_sending, arguments)
            note(cursor, now, "stop", operator, _where(rail, areas))

    def resume(self, areas: Sequence[str], operator: Operator, rail: str = EVERYWHERE) -> list[str]:
        """Lets sending go on; returns the areas that were stopped."""
        with transaction(self._connection, "the stop"), self._connection.cursor() as cursor:
            resumed = sorted(fetch_values(cursor, _SQL.resume_sending, {"rail": rail, "areas": list(areas)}))
            if resumed:
                note(cursor, self._clock(), "resume", operator, _where(rail, resumed))
            return resumed

    def stopped(self) -> list[Stop]:
        """Returns what is stopped."""
        return fetch(self._connection, Stop, _SQL.stopped)

    def orders(self, states: Sequence[OrderState], *, held_only: bool = False, limit: int = 100) -> list[OpenOrder]:
        """Orders in these states, newest first; only those that something holds if asked."""
        return self._listed(_SQL.list_orders, {"states": [state.value for state in states], "held": held_only, "limit": limit})

    def waiting_orders(self, *, limit: int = 100) -> list[OpenOrder]:
        """Orders that wait for a person, newest first: held ones, unknown ones, and those that the rail contradicts."""
        found = [
            *self.orders([OrderState.READY], held_only=True, limit=limit),
            *self.orders([OrderState.UNKNOWN], limit=limit),
            *self._listed(_SQL.list_contradicted_orders, {"limit": limit}),
        ]
        return sorted(found, key=lambda each: each.message_no, reverse=True)[:limit]

    def orders_of_case(self, case_id: str, states: Sequence[OrderState], *, limit: int = 100) -> list[OpenOrder]:
        """Orders in these states of the cases with this id, of whatever scheme, newest first."""
        arguments = {"schemes": [scheme.value for scheme in Scheme], "case_id": case_id, "states": [state.value for state in states]}
        return self._listed(_SQL.list_orders_of_case, {**arguments, "limit": limit})

    def _listed(self, statement: str, arguments: Mapping[str, object]) -> list[OpenOrder]:
        return fetch(self._connection, OpenOrder, statement, arguments, held_for=decode_all)

    def odd_receipts(self, limit: int = 100, *, everything: bool = False) -> list[OddReceipt]:
        """Receipts that could not be read or matched, that were unclear, or that contradict an earlier one; newest first.

        Only those that are open, or `everything`.
        """
        statement = _SQL.odd_receipts if everything else _SQL.open_receipts
        return fetch(self._connection, OddReceipt, statement, (limit,))

    def close_receipt(self, receipt_no: int, operator: Operator) -> None:
        """Says that a receipt which settled nothing has been dealt with. Raises ReceiptNotFound, NotInThatState."""
        with transaction(self._connection, "receipt", str(receipt_no)), self._connection.cursor() as cursor:
            now = self._clock()
            closing = {"receipt_no": receipt_no, "now": now, "by": operator.name, "reason": operator.reason}
            if fetch_value(cursor, _SQL.close_receipt, closing) is None:
                raise _not_to_close(receipt_no, fetch_one(cursor, _Closed, _SQL.outcome_of_receipt, (receipt_no,)))
            note(cursor, now, "close receipt", operator, f"receipt {receipt_no}")

    def receipt_body(self, receipt_no: int) -> bytes:
        """A receipt as it came. Raises ReceiptNotFound."""
        body: bytes | None = fetch_value(self._connection, _SQL.receipt_body, (receipt_no,))
        if body is None:
            raise ReceiptNotFound(f"no receipt has the number {receipt_no}")
        return body

    def release(self, order_id: str, operator: Operator) -> tuple[HoldReason, ...]:
        """Lifts what may be lifted by hand of a held order, and returns what holds it still; it is sent once nothing does.

        One that nothing else holds than that it is unchecked leaves unchecked.

        Raises NeedsSecondPerson, OrderNotFound, NotInThatState.
        """
        operator.need_second_person()
        kinds = [kind.value for kind in sorted(RELEASABLE - {HoldKind.UNCHECKED})]
        with transaction(self._connection, "order", order_id), self._connection.cursor() as cursor:
            before = order_in_short(cursor, order_id).held_for
            left = fetch_value(cursor, _SQL.release_order, {"order_id": order_id, "kinds": kinds, "last": HoldKind.UNCHECKED.value})
            if left is None:
                raise NotInThatState(_not_moved(cursor, order_id, "release"))
            now, held_for = self._clock(), decode_all(str(left))
            if UNCHECKED in before and UNCHECKED not in held_for:
                skip_check(cursor, order_id, now)
            if any(reason.kind is HoldKind.PAID_ELSEWHERE for reason in before):
                remember_exempt_pairs(cursor, order_id)
            note(cursor, now, "release", operator, order_id)
            return held_for

    def exempt_pairs(self, order_id: str | None = None, *, limit: int = 100) -> list[ExemptPair]:
        """Pairs of cases that hold no orders of each other, newest release first; those of the release of one order if that is named."""
        return exempt_pairs(self._connection, order_id, limit)

    def hold_again(self, order_id: str, operator: Operator) -> int:
        """Cases that the release of an order let pay the same days hold each other's orders again; returns how many pairs they are.

        What was released stays so. Raises NeedsSecondPerson, OrderNotFound, and NotInThatState where no pair is exempt by that release.
        """
        operator.need_second_person()
        with transaction(self._connection, "order", order_id), self._connection.cursor() as cursor:
            order_in_short(cursor, order_id)
            if not (ended := end_exempt_pairs(cursor, order_id)):
                raise NotInThatState(f"the release of order {order_id} exempts no cases from each other (see `kvitt order exempt`)")
            note(cursor, self._clock(), "hold again", operator, order_id)
            return ended

    def resend(self, order_id: str, operator: Operator) -> None:
        """An unknown order, or one whose receipt does not come, is sent once more: the stored bytes, as a copy that no queue drops.

        The receipts of all its copies count, whichever comes first. Raises NeedsSecondPerson, OrderNotFound, NotInThatState.
        """
        operator.need_second_person()
        with transaction(self._connection, "order", order_id), self._connection.cursor() as cursor:
            order_in_short(cursor, order_id)
            cursor.execute(_SQL.lock_order, (order_id,))
            if fetch_value(cursor, _SQL.ready_again, (order_id,)) is None:
                raise NotInThatState(_not_moved(cursor, order_id, "resend"))
            note(cursor, self._clock(), "resend", operator, order_id)

    def withdraw(self, order_id: str, operator: Operator) -> None:
        """Takes back an order that has not left, with a request to cancel it: its message is answered FEILET, the case goes on.

        Raises OrderNotFound, NotInThatState.
        """
        with transaction(self._connection, "order", order_id), self._connection.cursor() as cursor:
            found = order_in_short(cursor, order_id)
            message_no, case = found.message_no, load_cases(cursor, [found.case_key])[0]
            asked = lock_messages(cursor, [message_no], self._ports.contracts)[message_no]
            now = case.moment(max(self._clock(), asked.last_at))
            cursor.execute(_SQL.lock_order, (order_id,))
            area = fetch_value(cursor, _SQL.withdraw_order, (now, order_id))
            if area is None:
                raise NotInThatState(f"order {order_id} has left, or may have, or was taken back before")
            cursor.execute(_ORDERS.drop_payments, [[order_id]], binary=True)
            work = UnitOfWork()
            progress = progress_of(cursor, [message_no]).get(message_no)
            self._withdrawn(work, case, asked, (order_id, Area(area)), now, last=not (progress and progress.still_open))
            dequeue_next(cursor, work, {case.key: case}, now, self._ports)
            work.cases = [case.step()]
            work.write(cursor)
            note(cursor, now, "withdraw", operator, order_id)

    def _withdrawn(
        self, work: UnitOfWork, case: Case, asked: MessageInProgress, order: tuple[str, Area], now: datetime, *, last: bool
    ) -> None:
        message_no, (order_id, area) = asked.message_no, order
        value = OutboxWriter(self._ports.contracts, work).publish(OrderWithdrawn(order_id, area, last), asked, now)
        state = MessageState.ANSWERED if last else MessageState.DERIVED
        work.steps.append(MessageStep(message_no, state.value, None, now if last else None, value))
        case.open_orders -= 1
        case.note(work, now, What.WITHDRAWN, digest(value or b""), message_no=message_no, order_id=order_id)

    def forget(self, scheme: Scheme, case_id: str, payment_id: str, operator: Operator) -> None:
        """From now on the rail pays nothing of a payment, or with `*` of a case, that was not taken over, by the word of two people.

        Raises NeedsSecondPerson, and NotInThatState when it is not unknown.
        """
        operator.need_second_person()
        with transaction(self._connection, "case", case_id), self._connection.cursor() as cursor:
            case = next(iter(load_cases(cursor, [(scheme, case_id)])), None)
            if case is None or payment_id not in case.unknown:
                raise NotInThatState(f"{scheme.value} case {case_id} has nothing unknown by the name of {payment_id}")
            now, work = case.moment(self._clock()), UnitOfWork()
            case.learnt([payment_id])
            case.note(work, now, What.FORGOTTEN, digest(payment_id.encode()), said=payment_id)
            work.cases = [case.step()]
            work.write(cursor)
            note(cursor, now, "forget", operator, f"case {case.case_no} payment {payment_id}")

    def unknown(self, limit: int = 100) -> list[UnknownPayment]:
        """Returns what imports found and did not learn, case by case."""
        return fetch(self._connection, UnknownPayment, _SQL.unknown_payments, (limit,))

    def decide(self, order_id: str, *, accepted: bool, operator: Operator, logged: bool = True) -> None:
        """Settles an open order by an operator's word, where the rail's never came: as a receipt of our own making, kept as such.

        It is logged and counted if `logged`.

        Raises NeedsSecondPerson, OrderNotFound, and NotInThatState for an order that has never left or is settled.
        """
        operator.need_second_person()
        with transaction(self._connection, "order", order_id), self._connection.cursor() as cursor:
            found = order_in_short(cursor, order_id)
            lock_cases(cursor, [found.case_key])
            self._refuse_to_decide(cursor, order_id)
            rail = self._ports.rails.of[found.scheme]
            word = _word(rail, found.message, accepted=accepted, operator=operator)
            settled = Settle(self._connection, self._clock, self._ports, rail.name).within(cursor, word)
            if settled.outcomes != [ReceiptOutcome.ACCEPTED if accepted else ReceiptOutcome.REJECTED]:
                raise NotInThatState(f"order {order_id} was not settled by this: it would be {settled.outcomes[0].value}")
            note(cursor, settled.at, "decide accepted" if accepted else "decide rejected", operator, order_id)
        if logged:
            settled.log()

    def _refuse_to_decide(self, cursor: psycopg.Cursor[Any], order_id: str) -> None:
        """Raises NotInThatState with what is possible instead, unless the order is open and may be with the rail."""
        found = fetch_one(cursor, _OrderProgress, _SQL.progress_of_order, (order_id,))
        assert found is not None, "orders are never deleted"
        state = found.state
        if state == OrderState.READY and not found.may_have_left:
            raise NotInThatState(
                f"order {order_id} is ready and has never left: the rail can not have it; `kvitt order withdraw` takes it back"
            )
        if state == OrderState.WITHDRAWN:
            raise NotInThatState(f"order {order_id} was taken back before it left, and its sender has heard so: nothing is left to decide")
        if state in (OrderState.ACCEPTED, OrderState.REJECTED):
            then = (
                "the rail contradicts that; `kvitt order adopt` or `kvitt order keep` settles it"
                if found.contradicted
                else "only a receipt of the rail that says otherwise opens it again"
            )
            raise NotInThatState(f"order {order_id} is {state} already: {then}")


def _not_moved(cursor: psycopg.Cursor[Any], order_id: str, what: str) -> str:
    """Why an order can not be released or sent again, and what can be done."""
    found = order_in_short(cursor, order_id)
    state, held_for = found.state, found.held_for
    if what == "resend" and state in (OrderState.SENT, OrderState.UNKNOWN):
        return f"the rail is asked to cancel order {order_id}: it is sent once more only where the rail refuses"
    if what == "resend":
        return f"order {order_id} is {state}; only one that is sent or unknown, without an outcome, can be sent once more"
    if state == OrderState.READY and held_for:
        return f"what holds order {order_id} can not be released: {'; '.join(reason.text for reason in held_for)} (see `kvitt order list`)"
    return f"order {order_id} is {state}, and nothing holds it that could be released"


def _word(rail: Rail, message: bytes, *, accepted: bool, operator: Operator) -> RawReceipt:
    """An operator's word about an order, in the form of the rail's."""
    words = rail.words_of_operator(message, accepted=accepted, text=f"Avgjort av operatør: {operator.reason}")
    return RawReceipt(f"{BY_HAND}{uuid.uuid4()}", words, by_hand=True)
