"""Applies receipts: what their orders change, and what is published of them, under the locks of their cases (design §4 step 7, §6)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import replace

from kvitt.disbursement.case import Case
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.events import (
    AllSettled,
    CaseListed,
    Event,
    MessageInProgress,
    OrderOfMessage,
    OrderSettled,
    OrderUnclear,
    ReceiptRead,
    WithRail,
)
from kvitt.disbursement.publish import OutboxWriter
from kvitt.disbursement.rail import Candidate, ReceiptOutcome, Severity
from kvitt.disbursement.receipt_decision import PaymentVersion, Settled
from kvitt.disbursement.rows import MessageStep
from kvitt.disbursement.states import MessageState, OrderState, What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Area, Scheme
from kvitt.kernel.audit import digest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL = load("orders", "kvitt.disbursement")
_WHAT = {ReceiptOutcome.ACCEPTED: What.ACCEPTED, ReceiptOutcome.REJECTED: What.REJECTED, ReceiptOutcome.UNCLEAR: What.UNCLEAR}
_PAYMENTS = {
    ReceiptOutcome.ACCEPTED: _SQL.accept_payments,
    ReceiptOutcome.REJECTED: _SQL.drop_payments,
    ReceiptOutcome.UNCLEAR: _SQL.pending_payments,
}
_STATE = {
    ReceiptOutcome.ACCEPTED: OrderState.ACCEPTED,
    ReceiptOutcome.REJECTED: OrderState.REJECTED,
    ReceiptOutcome.UNCLEAR: OrderState.UNKNOWN,
}


class _LockedMessage(NamedTuple):
    message_no: int
    source: str
    partition: int
    position: int
    key: bytes | None
    headers: bytes | None
    scheme: Scheme
    body: bytes
    received_at: datetime
    answer: bytes | None
    last_at: datetime


class _LockedOrder(NamedTuple):
    message_no: int
    order: OrderOfMessage


class _MovedVersion(NamedTuple):
    order_id: str
    position: int
    made: PaymentVersion


def lock_messages(cursor: psycopg.Cursor[Any], message_numbers: Sequence[int], contracts: Contracts) -> dict[int, MessageInProgress]:
    """Locks the rows of messages in sorted order; whoever publishes about a message holds its lock, so that answers keep their order."""
    arguments = [contracts.bodies_of, sorted(set(message_numbers))]
    rows = fetch(cursor, _LockedMessage, _SQL.lock_messages, arguments, scheme=Scheme)
    messages = [MessageInProgress(*row) for row in rows]
    by_number = {each.message_no: each for each in messages}
    if asking := [each.message_no for each in messages if contracts.of(each.source).replies_from_body]:
        orders: dict[int, list[OrderOfMessage]] = {}
        for found in fetch(cursor, _LockedOrder, _SQL.orders_of_messages, [asking], order=OrderOfMessage):
            orders.setdefault(found.message_no, []).append(found.order)
        by_number.update({number: replace(by_number[number], orders=tuple(its)) for number, its in orders.items()})
    return by_number


def _proves_nothing(settled: Settled) -> bool:
    """A refusal of a copy, because the rail has something of the order already: no word on what became of the order itself."""
    return settled.outcome is ReceiptOutcome.UNCLEAR and settled.receipt.severity is not Severity.UNKNOWN


class ReceiptApplier:
    """ReceiptApplier the settled orders of one transaction.

    `now` was read under the locks of the cases. What happens to a case is not earlier than what happened to it before, and than what was
    published of its messages by a sender, whose clock may be another one.
    """

    def __init__(
        self, cursor: psycopg.Cursor[Any], work: UnitOfWork, cases: Mapping[int, Case], now: datetime, contracts: Contracts
    ) -> None:
        self._cursor, self._work, self._cases, self._now, self._contracts = cursor, work, cases, now, contracts
        self._outbox = OutboxWriter(contracts, work)
        self._moments: dict[int, datetime] = {}

    def settle(self, settled: Sequence[Settled]) -> None:
        """Moves orders, payments and cases, answers messages whose last order this was, and publishes all of it."""
        if not settled:
            return
        messages = lock_messages(self._cursor, [each.order.message_no for each in settled], self._contracts)
        for each in settled:
            last = max(messages[each.order.message_no].last_at, self._moments.get(each.order.case_no, self._now))
            self._moments[each.order.case_no] = self._cases[each.order.case_no].moment(last)
        moved = self._move_orders(settled)
        by_message: dict[int, list[Settled]] = {}
        for each in settled:
            if each.order.order_id in moved:
                by_message.setdefault(each.order.message_no, []).append(each)
        overtaken = {message_no for message_no, group in by_message.items() if not all(moved[each.order.order_id] for each in group)}
        versions, relisted = self._move_payments([each for group in by_message.values() for each in group])
        progress = self._progress(list(by_message))
        for message_no, group in by_message.items():
            still_open, all_sent = progress[message_no]
            with_rail = all_sent and message_no in overtaken
            self._book_message(messages[message_no], group, versions, still_open, with_rail=with_rail)
        self._announce_case_lists(relisted, messages)

    def _publish(self, event: Event, message: MessageInProgress, at: datetime) -> MessageInProgress:
        """The message with the answer that it has after an event."""
        answer = self._outbox.publish(event, message, at)
        return message if answer is None else replace(message, answer=answer)

    def _move_orders(self, settled: Sequence[Settled]) -> dict[str, bool]:
        """The orders that moved, and whether each was known to be sent. What was read before the messages were locked may be old by now."""
        # A rejection that proves nothing of an unknown order leaves it so and is not published; an unheard-of severity is (design §12).
        if proving_nothing := [each.order.order_id for each in settled if _proves_nothing(each)]:
            self._cursor.execute(_SQL.sent_to_unknown, [proving_nothing], binary=True)
            settled = [each for each in settled if not _proves_nothing(each)]
        columns = [
            [each.order.order_id for each in settled],
            [_STATE[each.outcome].value for each in settled],
            [each.receipt_no for each in settled],
            [self._moments[each.order.case_no] for each in settled],
            [each.by_hand for each in settled],
        ]
        return dict(self._cursor.execute(_SQL.settle_orders, columns, binary=True).fetchall())

    def _move_payments(self, settled: Sequence[Settled]) -> tuple[dict[str, list[PaymentVersion]], dict[int, Candidate]]:
        """The versions of each order as they stand in it, and the cases of which payments became true, with the last order that did it."""
        orders: dict[ReceiptOutcome, list[str]] = {}
        for each in settled:
            orders.setdefault(each.outcome, []).append(each.order.order_id)
        if accepted := orders.get(ReceiptOutcome.ACCEPTED):
            self._cursor.execute(_SQL.supersede_payments, [accepted], binary=True)
        versions: dict[str, list[PaymentVersion]] = {}
        for outcome, statement in _PAYMENTS.items():
            if settled_so := orders.get(outcome):
                rows = fetch(self._cursor, _MovedVersion, statement, [settled_so], made=PaymentVersion)
                for moved in sorted(rows, key=attrgetter("order_id", "position")):
                    versions.setdefault(moved.order_id, []).append(moved.made)
        true = [each.order for each in settled if each.outcome is ReceiptOutcome.ACCEPTED and each.order.order_id in versions]
        return versions, {order.case_no: order for order in true}

    def _progress(self, message_numbers: Sequence[int]) -> dict[int, tuple[int, bool]]:
        """Per message: how many of its orders are open, and whether all of them have been with the rail."""
        rows = self._cursor.execute(_SQL.progress_of_messages, [message_numbers], binary=True)
        return {message_no: (still_open, all_sent) for message_no, still_open, all_sent in rows.fetchall()}

    def _book_message(
        self,
        before: MessageInProgress,
        group: Sequence[Settled],
        versions: Mapping[str, Sequence[PaymentVersion]],
        still_open: int,
        *,
        with_rail: bool,
    ) -> None:
        """`with_rail`: the receipts were faster than the sender, so that it is published now that all orders are with the rail."""
        at = self._moments[group[0].order.case_no]
        message = self._publish(WithRail(), before, at) if with_rail else before
        for each in group:
            message = self._book_order(each, message, versions.get(each.order.order_id, ()))
        settles = any(each.outcome is not ReceiptOutcome.UNCLEAR for each in group)
        if not settles and message.answer == before.answer:
            return
        state = MessageState.DERIVED if still_open or not settles else MessageState.ANSWERED
        if state is MessageState.ANSWERED:
            message = self._publish(AllSettled(group[-1]), message, at)
        answered_at = at if state is MessageState.ANSWERED else None
        self._work.steps.append(MessageStep(message.message_no, state.value, None, answered_at, message.answer))

    def _book_order(self, each: Settled, message: MessageInProgress, versions: Sequence[PaymentVersion]) -> MessageInProgress:
        order, case = each.order, self._cases[each.order.case_no]
        at = self._moments[case.case_no]
        message = self._publish(ReceiptRead(each, versions), message, at)
        content = digest(order.message, each.receipt.raw_severity.encode(), each.receipt.text.encode())
        what = _WHAT[each.outcome]
        case.note(
            self._work,
            at,
            what,
            content,
            message_no=message.message_no,
            order_id=order.order_id,
            receipt_no=each.receipt_no,
        )
        if each.outcome is ReceiptOutcome.UNCLEAR:
            return self._publish(OrderUnclear(each), message, at)
        case.open_orders -= 1
        if each.outcome is ReceiptOutcome.ACCEPTED:
            case.known_to_rail(Area(order.area), order.person)
            case.learnt(version.payment_id for version in versions)
        return self._publish(OrderSettled(each), message, at)

    def _announce_case_lists(self, relisted: Mapping[int, Candidate], messages: Mapping[int, MessageInProgress]) -> None:
        """The payments of each case of which some became true, changed list or not, for those who follow cases."""
        if not relisted:
            return
        for case_no, payment_ids in self._cursor.execute(_SQL.case_lists, [sorted(relisted)], binary=True).fetchall():
            order, case = relisted[case_no], self._cases[case_no]
            listed = CaseListed(case.scheme, case.case_id, payment_ids, order.message_no, order.order_id)
            contract = self._contracts.of(messages[order.message_no].source)
            self._outbox.announce(contract, listed, order.message_no, self._moments[case_no])
