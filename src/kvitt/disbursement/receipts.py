"""Receipts: what an answer of a rail says, what that means for its order, and what follows under the locks of cases (design §4 step 7, §6).

An observation settles its order, says nothing new, or contradicts what stands. What contradicts makes its case wait until two people have
resolved it (design §12): as long as a contradiction is open nothing of the case is derived or sent, since it would be compared with a state
that may be wrong, and the rail might pay twice.
"""

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
    Contradicted,
    Event,
    MessageInProgress,
    OrderOfMessage,
    OrderSettled,
    OrderUnclear,
    PaymentVersion,
    ReceiptRead,
    Settled,
    WithRail,
)
from kvitt.disbursement.holding import IN_CONTRADICTION
from kvitt.disbursement.rail import (
    Candidate,
    Observation,
    Rail,
    ReceiptOutcome,
    Severity,
)
from kvitt.disbursement.rows import MessageStep
from kvitt.disbursement.states import MessageState, OrderState, What
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork
from kvitt.disbursement.values import Area, Scheme
from kvitt.errors import UnreadableReceipt
from kvitt.kernel.audit import digest
from kvitt.kernel.fetch import Part, fetch
from kvitt.kernel.queries import load

_SQL, _CONTRADICTIONS = load("orders", "kvitt.disbursement"), load("contradictions", "kvitt.disbursement")
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
BY_HAND = "operator-"
"""How the message ids of receipts begin that are an operator's word; the store and `kvitt check` know them by it."""
SETTLING = frozenset({ReceiptOutcome.ACCEPTED, ReceiptOutcome.REJECTED})
_SETTLED = frozenset({OrderState.ACCEPTED, OrderState.REJECTED})
_IMPLIES = {
    ReceiptOutcome.SETTLED: ReceiptOutcome.ACCEPTED,
    ReceiptOutcome.CANCELLED: ReceiptOutcome.REJECTED,
    ReceiptOutcome.RETURNED: ReceiptOutcome.UNCLEAR,
}
"""What is said of an order that was accepted is kept, and changes nothing; where that was not said before, it is said by this."""
RAIL_FAILED = "makes its rail fail: "
"""So begins why an answer could not be read where that is no fault of the answer; its rail may be mended one day."""


def read_answer(rail: Rail, answer: bytes) -> Sequence[Observation]:
    """Returns what an answer of a rail says, of one order at least. Raises UnreadableReceipt, also where reading itself fails.

    An answer is kept whatever becomes of its reading: one that a rail stumbles over holds up none of those behind it.
    """
    try:
        said = rail.read(answer)
    except UnreadableReceipt:
        raise
    except Exception as error:
        raise UnreadableReceipt(f"{RAIL_FAILED}{type(error).__name__}") from error
    if not said:
        raise UnreadableReceipt("says nothing of any order")
    return said


def decide(rail: Rail, receipt: Observation, order: Candidate, *, by_hand: bool = False) -> ReceiptOutcome:
    """Returns what the receipt does to an order in the state that it has.

    A settled order stays as it is: what says otherwise contradicts, unless it says again what contradicts already. One that was taken back
    is contradicted by its acceptance alone, and only if the receipt has the order's own time. `by_hand` is an operator's word, of which
    only the severity counts.
    """
    said = rail.decide(replace(receipt, reasons=frozenset()) if by_hand else receipt, order)
    if said in _IMPLIES:
        if order.state is OrderState.ACCEPTED:
            return said
        said = _IMPLIES[said]
    if order.state is OrderState.WITHDRAWN:
        if said is not ReceiptOutcome.ACCEPTED or order.correlation_time != receipt.correlation_time:
            return ReceiptOutcome.UNMATCHED
        return ReceiptOutcome.REPEAT if order.contradicted == said else ReceiptOutcome.CONTRADICTS
    if order.state is OrderState.READY and not order.was_unknown:
        return ReceiptOutcome.UNMATCHED
    if said is ReceiptOutcome.NOTED:
        return said
    if order.state in _SETTLED:
        return _of_settled(said, receipt, order)
    return said


def _of_settled(said: ReceiptOutcome, receipt: Observation, order: Candidate) -> ReceiptOutcome:
    other = said in SETTLING and said.value not in (order.state.value, order.contradicted)
    # Once the rail has accepted an order, "exists already" answers a copy of it; where a person has, it may be the only answer.
    to_a_copy = order.state is OrderState.ACCEPTED and not order.decided_by_hand and receipt.answers_copy
    return ReceiptOutcome.CONTRADICTS if other and not to_a_copy else ReceiptOutcome.REPEAT


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
    edition: int
    answer: bytes | None
    last_at: datetime


class _LockedOrder(NamedTuple):
    message_no: int
    order: OrderOfMessage


class _MovedVersion(NamedTuple):
    order_id: str
    position: int
    made: PaymentVersion


class MessageProgress(NamedTuple):
    """How many orders of a message are still open, and whether all of them have been with the rail."""

    message_no: int
    still_open: int
    with_rail: bool


class _ListOfCase(NamedTuple):
    case_no: int
    payment_ids: Sequence[str]


class _SettledOrder(NamedTuple):
    order_id: str
    was_sent: bool


def lock_messages(cursor: psycopg.Cursor[Any], message_numbers: Sequence[int], contracts: Contracts) -> dict[int, MessageInProgress]:
    """Locks the rows of messages in sorted order; whoever publishes about a message holds its lock, so that answers keep their order."""
    arguments = [contracts.bodies_of, sorted(set(message_numbers))]
    rows = fetch(cursor, _LockedMessage, _SQL.lock_messages, arguments, scheme=Scheme)
    messages = [MessageInProgress(*row) for row in rows]
    by_number = {each.message_no: each for each in messages}
    if asking := [each.message_no for each in messages if contracts.of[each.source].replies_from_body]:
        orders: dict[int, list[OrderOfMessage]] = {}
        for found in fetch(cursor, _LockedOrder, _SQL.orders_of_messages, [asking], order=OrderOfMessage):
            orders.setdefault(found.message_no, []).append(found.order)
        by_number.update({number: replace(by_number[number], orders=tuple(its)) for number, its in orders.items()})
    return by_number


def progress_of(cursor: psycopg.Cursor[Any], message_numbers: Sequence[int]) -> dict[int, MessageProgress]:
    """Per message that has orders, how far these have come."""
    return {each.message_no: each for each in fetch(cursor, MessageProgress, _SQL.progress_of_messages, [message_numbers])}


def case_lists(cursor: psycopg.Cursor[Any], case_numbers: Sequence[int]) -> dict[int, Sequence[str]]:
    """Per case the ids of its payments, as listed; ceased ones are left out."""
    return {each.case_no: each.payment_ids for each in fetch(cursor, _ListOfCase, _SQL.case_lists, [case_numbers])}


def _proves_nothing(settled: Settled) -> bool:
    """A refusal of a copy, because the rail has something of the order already: no word on what became of the order itself."""
    return settled.outcome is ReceiptOutcome.UNCLEAR and settled.receipt.severity is not Severity.UNKNOWN


class ReceiptApplier:
    """Applies the settled orders of one transaction.

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
        progress = progress_of(self._cursor, list(by_message))
        for message_no, group in by_message.items():
            with_rail = progress[message_no].with_rail and message_no in overtaken
            self._book_message(messages[message_no], group, versions, progress[message_no].still_open, with_rail=with_rail)
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
        return {each.order_id: each.was_sent for each in fetch(self._cursor, _SettledOrder, _SQL.settle_orders, columns)}

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
        for case_no, payment_ids in case_lists(self._cursor, sorted(relisted)).items():
            order, case = relisted[case_no], self._cases[case_no]
            listed = CaseListed(case.scheme, case.case_id, payment_ids, order.message_no, order.order_id)
            contract = self._contracts.of[messages[order.message_no].source]
            self._outbox.announce(contract, listed, order.message_no, self._moments[case_no])


def open_contradictions(
    cursor: psycopg.Cursor[Any], work: UnitOfWork, cases: Mapping[int, Case], found: Sequence[Contradicted], now: datetime
) -> None:
    """Opens a contradiction for each order that a receipt contradicts, and holds the open orders of their locked cases.

    `now` was read under their locks.
    """
    if not found:
        return
    columns = [
        [each.order.case_no for each in found],
        [each.order.order_id for each in found],
        [each.receipt_no for each in found],
        [each.ours.value for each in found],
        [each.rails.value for each in found],
        [cases[each.order.case_no].moment(now) for each in found],
    ]
    cursor.execute(_CONTRADICTIONS.open_contradictions, columns, binary=True)
    for each in found:
        case, order = cases[each.order.case_no], each.order
        content = said_of(order.message, each.receipt)
        case.contradictions += 1
        at, message_no = case.moment(now), order.message_no
        case.note(work, at, What.CONTRADICTED, content, message_no=message_no, order_id=order.order_id, receipt_no=each.receipt_no)
    cursor.execute(_CONTRADICTIONS.hold_orders, [[each.order.case_no for each in found], IN_CONTRADICTION.encode()], binary=True)


def said_of(message: bytes, receipt: Observation) -> bytes:
    """The digest of an order and of what a receipt says of it, as entries of a case's chain have it."""
    return digest(message, receipt.raw_severity.encode(), receipt.text.encode())


class _Found(NamedTuple):
    ordinal: int
    candidate: Candidate


class _SaidBefore(NamedTuple):
    """A receipt of an order: the answer that it stands in, and its place there."""

    order_id: str
    body: bytes
    place: int


def find_candidates(cursor: psycopg.Cursor[Any], observations: Mapping[int, tuple[Rail, Observation]]) -> Mapping[int, Sequence[Candidate]]:
    """The orders that each observation may be about, by its number, oldest first. One that names no case has none."""
    asked = [
        (index, said.case[0].value, said.case[1], rail.name, said.area, said.correlation_key)
        for index, (rail, said) in observations.items()
        if said.case
    ]
    found: dict[int, list[Candidate]] = {}
    if asked:
        columns = [list(column) for column in zip(*asked, strict=True)]
        for each in fetch(cursor, _Found, _SQL.orders_for_receipts, columns, candidate=Part(Candidate, state=OrderState, said=tuple)):
            found.setdefault(each.ordinal, []).append(each.candidate)
    by_parts = [index for index in found if observations[index][0].capabilities.answers_parts]
    said = _said_before(cursor, {each.order_id: observations[index][0] for index in by_parts for each in found[index]})
    return found | {index: [replace(each, said=said.get(each.order_id, ())) for each in found[index]] for index in by_parts}


def _said_before(cursor: psycopg.Cursor[Any], orders: Mapping[str, Rail]) -> Mapping[str, tuple[Observation, ...]]:
    said: dict[str, tuple[Observation, ...]] = {}
    for before in fetch(cursor, _SaidBefore, _SQL.said_of_orders, [list(orders)]) if orders else ():
        observation = read_answer(orders[before.order_id], before.body)[before.place]
        said[before.order_id] = (*said.get(before.order_id, ()), observation)
    return said
