"""The desk: what a message does to its case, handled at one moment, under the case's lock (design §4 steps 3-5)."""

from collections.abc import Sequence
from datetime import datetime

from kvitt.hub.case import Case
from kvitt.hub.keep import keep
from kvitt.hub.store_order import store_order
from kvitt.hub.taken import Taken
from kvitt.hub.tell import Teller
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import oslo
from kvitt.rules.answers import Answer, Status, details_of
from kvitt.rules.claims import Claims
from kvitt.rules.derive import derive
from kvitt.rules.holding import reasons_to_hold
from kvitt.rules.ids import event_id
from kvitt.rules.rail_port import Rails
from kvitt.rules.states import MessageState, What
from kvitt.rules.values import Order, Refusal
from kvitt.store.rows import MessageRow


class Desk:
    """Handles messages of locked cases one by one at one moment; what each one causes goes to `facts` only when all of it is sound."""

    def __init__(self, facts: UnitOfWork, now: datetime, rails: Rails) -> None:
        self._facts, self._now, self._made_at, self._rails = facts, now, oslo(now), rails

    def take(self, case: Case | None, message: Taken, record: MessageRow, reason: str | None = None) -> MessageState:
        """Handles a message that has just come in, or queues it behind what its case is busy with; gives its new state."""
        if isinstance(message.claims, Refusal):
            return self.refuse(case, message, record, message.claims, reason)
        if case is not None and case.busy:
            self.wait(case, message, record)
            return MessageState.WAITING
        return self.handle(case, message, record)

    def wait(self, case: Case, message: Taken, record: MessageRow) -> None:
        """Queues a message behind the case's open order; the sender hears MOTTATT, except for dry runs."""
        answer = None if message.dry_run else Teller(self._facts, message, self._now).status(Answer(Status.RECEIVED), reason="waiting")
        keep(self._facts, self._now, message.message_no, record, case_no=case.case_no, state=MessageState.WAITING, answer=answer)
        case.waiting += 1
        case.note(self._facts, self._now, What.WAITING, digest(message.body), message_no=message.message_no)

    def handle(self, case: Case | None, message: Taken, record: MessageRow | None) -> MessageState:
        """Derives and answers a message now; gives its new state. `record` is its row-to-be, None when it is stored already."""
        if isinstance(message.claims, Refusal):
            return self.refuse(case, message, record, message.claims)
        assert case is not None, "a message that can be read has a case"
        assert isinstance(message.claims, Claims), "needs have a desk of their own"
        derived = derive(message.claims, case.state(), self._made_at)
        if isinstance(derived, Refusal):
            return self.refuse(case, message, record, derived)
        if not derived:
            return self._unchanged(case, message, record)
        return self._simulated(case, message, record, derived) if message.dry_run else self._ordered(case, message, record, derived)

    def refuse(
        self, case: Case | None, message: Taken, record: MessageRow | None, refusal: Refusal, reason: str | None = None
    ) -> MessageState:
        """Answers FEILET for good."""
        answer = Answer(Status.FAILED, None, refusal, message.dry_run)
        value = Teller(self._facts, message, self._now).status(answer, reason=reason)
        return self._answered(case, message, record, value)

    def _answered(self, case: Case | None, message: Taken, record: MessageRow | None, value: bytes) -> MessageState:
        keep(
            self._facts,
            self._now,
            message.message_no,
            record,
            case_no=case.case_no if case else None,
            state=MessageState.ANSWERED,
            answer=value,
        )
        if case:
            case.note(self._facts, self._now, What.ANSWERED, digest(message.body, value), message_no=message.message_no)
        return MessageState.ANSWERED

    def _unchanged(self, case: Case, message: Taken, record: MessageRow | None) -> MessageState:
        teller = Teller(self._facts, message, self._now)
        value = teller.status(Answer(Status.OK, dry_run=message.dry_run))
        if message.dry_run:
            teller.no_change()
        return self._answered(case, message, record, value)

    def _simulated(self, case: Case, message: Taken, record: MessageRow | None, orders: Sequence[Order]) -> MessageState:
        teller = Teller(self._facts, message, self._now)
        rail = self._rails.of(message.scheme)
        requests = [teller.simulation(order, rail.encode_simulation(order), teller.own_key(orders, order)) for order in orders]
        keep(self._facts, self._now, message.message_no, record, case_no=case.case_no, state=MessageState.ANSWERED, answer=None)
        case.note(self._facts, self._now, What.SIMULATED, digest(message.body, *requests), message_no=message.message_no)
        return MessageState.ANSWERED

    def _ordered(self, case: Case, message: Taken, record: MessageRow | None, orders: Sequence[Order]) -> MessageState:
        rail = self._rails.of(message.scheme)
        encoded = [rail.encode(order) for order in orders]
        teller = Teller(self._facts, message, self._now)
        value = teller.status(Answer(Status.RECEIVED, details_of(orders)), event_id(orders[0].order_id, "received"))
        held = reasons_to_hold(orders, case.state())
        for order, each, reasons in zip(orders, encoded, held, strict=True):
            own_key = teller.own_key(orders, order)
            store_order(self._facts, case, order, each, reasons, message_no=message.message_no, now=self._now, told_under=own_key)
            teller.order(order, each.message, case, own_key)
        keep(self._facts, self._now, message.message_no, record, case_no=case.case_no, state=MessageState.DERIVED, answer=value)
        case.note(
            self._facts, self._now, What.ORDERED, digest(message.body, *(each.message for each in encoded)), message_no=message.message_no
        )
        case.orders_made += len(orders)
        case.open_orders += len(orders)
        return MessageState.DERIVED
