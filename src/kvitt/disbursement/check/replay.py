"""The replay of one case: its audit chain in order, each entry made again from the stored rows that it is about (design §13).

The accepted state is kept in memory as it was at each entry, so every derivation has the state that it had then.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from kvitt.disbursement.case import Case
from kvitt.disbursement.check.chain import Chain
from kvitt.disbursement.check.contradicted import CONTRADICTING, said_before
from kvitt.disbursement.check.earlier import says_the_same
from kvitt.disbursement.check.handling import Handling, IdsOfOtherCases, agrees
from kvitt.disbursement.check.imports import TAKING_OVER
from kvitt.disbursement.check.known import look_at_decisions, look_at_pending, look_at_rail
from kvitt.disbursement.check.made import MadeContradiction, MadeOrder, MessageReplay, Version, VersionKey, step_of
from kvitt.disbursement.check.order_check import CHECKING, policies, refusal_of
from kvitt.disbursement.check.outside import FoundBefore
from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.simulated import SIMULATING, look_at_open_orders, questions_of_then
from kvitt.disbursement.check.stored import StoredCase
from kvitt.disbursement.derive.chained import numbers_up_to
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.events import (
    AllSettled,
    CaseListed,
    Event,
    OrderOfMessage,
    OrderSettled,
    OrderUnclear,
    OrderWithdrawn,
    PaymentVersion,
    ReceiptRead,
    Settled,
)
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Observation, ReceiptOutcome
from kvitt.disbursement.receipts import decide, read_answer
from kvitt.disbursement.rows import DecisionRow, IdempotencyRow, LineRow, OrderCheckRow, OrderRow, PaymentRow, SimulationRow
from kvitt.disbursement.simulation_requests import Asker
from kvitt.disbursement.states import EARLIER_WORDS, OPEN_ORDER, MessageState, OrderState, PaymentState, What
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork
from kvitt.disbursement.values import Action, Area, Scheme
from kvitt.errors import UnreadableReceipt
from kvitt.kernel.audit import AuditRow, digest
from kvitt.kernel.outbox import OutboxRow

_OUTCOMES = {What.ACCEPTED: ReceiptOutcome.ACCEPTED, What.REJECTED: ReceiptOutcome.REJECTED, What.UNCLEAR: ReceiptOutcome.UNCLEAR}
_KNOWN = frozenset(What)
_BY_THEMSELVES = {**TAKING_OVER, **CONTRADICTING, **SIMULATING, **CHECKING}
"""What entries do to a replay that need nothing else of it."""


class Replay:
    """Replays the chain of one case, and makes the rows that should be stored for it."""

    def __init__(
        self,
        stored: StoredCase,
        found: Findings,
        ports: Ports,
        ids_of_other_cases: IdsOfOtherCases,
        *,
        released: frozenset[str],
        resent: Mapping[str, int],
    ) -> None:
        self.stored, self.found, self.contracts = stored, found, ports.contracts
        self.released, self.resent = released, resent
        self.early = stored.early_messages
        number, scheme, case_id = stored.row.case_no, Scheme(stored.row.scheme), stored.row.case_id
        self.forwards = scheme in ports.contracts.forwarding
        self.case = Case.new(number, scheme, case_id)
        self.rail = ports.rails.of[self.case.scheme]
        self.simulating = ports.rails.simulating(self.case.scheme)
        self.outside = FoundBefore(stored.outside, stored.limited)
        then = policies(self.case.scheme, stored.checks)
        self._handling = Handling(
            self.case,
            ports.rails,
            ids_of_other_cases,
            partial(questions_of_then, stored),
            then,
            outside=self.outside if stored.outside or stored.limited else None,
        )
        self.chain = Chain(number, found)
        self.message_replays: dict[int, MessageReplay] = {}
        self.orders: dict[str, MadeOrder] = {}
        self.lines: list[LineRow] = []
        self.idempotency: list[IdempotencyRow] = []
        self.decisions: list[DecisionRow] = []
        self.versions: dict[VersionKey, Version] = {}
        self._by_lines: dict[tuple[str, bytes], list[MadeOrder]] = {}
        self.by_order: dict[str, list[Version]] = {}
        self._current: dict[str, Version] = {}
        self.simulations: list[SimulationRow] = []
        self.published: list[OutboxRow] = []
        self.lists: dict[int, list[OutboxRow]] = {}
        self.receipts: dict[int, Observation] = {}
        self.contradictions: list[MadeContradiction] = []
        self.checks: dict[str, OrderCheckRow] = {}
        self.last_handled = 0

    def run(self) -> None:
        """Replays all entries; differences are noted as they show."""
        self._read_receipts()
        for stored in self.stored.audit:
            self.case.audit_seq, self.case.last_event_hash = stored.seq - 1, self.chain.hash
            self.chain.follow(stored)
            entry = replace(stored, what=EARLIER_WORDS[stored.what]) if stored.what in EARLIER_WORDS else stored
            if entry.what not in _KNOWN:
                self.differs(Kind.ENTRY, entry.seq, f"is of an unknown kind: {entry.what}")
            elif entry.what == What.WITHDRAWN:
                self._withdrawn(entry)
            elif entry.what in _BY_THEMSELVES:
                _BY_THEMSELVES[entry.what](self, entry)
            elif entry.what in _OUTCOMES:
                self._settled(entry, _OUTCOMES[What(entry.what)])
            elif replayed := self._replayed(entry):
                self._queued(entry, replayed) if entry.what == What.QUEUED else self._handled(entry, replayed)
        self.chain.end(self.stored.row.audit_seq, self.stored.row.last_event_hash)

    def differs(self, kind: Kind, subject: object, text: str) -> None:
        """Notes a difference of this case."""
        self.found.differs(kind, self.stored.case_no, subject, text)

    def _read_receipts(self) -> None:
        for receipt_no, stored in self.stored.receipts.items():
            try:
                self.receipts[receipt_no] = self.placed(read_answer(self.rail, stored.body)[stored.place])
            except UnreadableReceipt:
                self.differs(Kind.RECEIPT, receipt_no, "can not be read, though it was taken for an order's answer")

    def placed(self, said: Observation) -> Observation:
        """Returns what was said, with what its order is known by, where it names the order by its id alone."""
        stored = self.stored.orders.get(said.order_id or "")
        if stored is None:
            return said
        return replace(said, case=self.case.key, area=stored.made.area, correlation_key=stored.made.correlation_key)

    def _replayed(self, entry: AuditRow) -> MessageReplay | None:
        """The replay of the message that an entry is about; its first entry begins it."""
        number = entry.message_no
        if number in self.message_replays:
            return self.message_replays[number]
        if number is None or number not in self.stored.messages:
            self.differs(Kind.ENTRY, entry.seq, f"is about message {number}, which the case does not have")
            return None
        replayed = self.message_replays[number] = MessageReplay(self.stored.messages[number], self.contracts)
        if replayed.stored.received_at != entry.at:
            self.differs(Kind.MESSAGE, number, "was not received when its first entry was written")
        return replayed

    def _queued(self, entry: AuditRow, replayed: MessageReplay) -> None:
        if not self.case.must_queue:
            self.differs(Kind.ENTRY, entry.seq, "is queued behind nothing")
        work = UnitOfWork()
        self._handling.handler(replayed, work, entry).queue(self.case, replayed.message, replayed.stored)
        replayed.step(step_of(work))
        if not agrees(work.audit[0], entry):
            self.differs(Kind.ENTRY, entry.seq, "is not what the stored message gives")
        self.published.extend(work.outbox)
        self.idempotency.extend(work.idempotency)
        self.decisions.extend(work.decisions)

    def _handled(self, entry: AuditRow, replayed: MessageReplay) -> None:
        number = replayed.stored.message_no
        in_turn = self._handling.in_turn(replayed, entry)
        if in_turn and not self.case.may_go_on:
            self.differs(Kind.ENTRY, entry.seq, "was handled while an order of the case was open, or while it was contradicted")
        if in_turn and number <= self.last_handled:
            self.differs(Kind.ENTRY, entry.seq, "was handled after a later message")
        self.last_handled = number if in_turn else self.last_handled
        if replayed.state is MessageState.QUEUED:
            self.case.queued -= 1
        look_at_rail(self)
        if replayed.message.dry_run:
            look_at_open_orders(self)
        look_at_pending(self)
        if replayed.contract.keeps_chain:
            look_at_decisions(self)
        work = self._handling.repeated(replayed, entry)
        if work is None:
            self.differs(Kind.ENTRY, entry.seq, "is not what the stored message gives on the accepted state")
            self._take_as_stored(replayed)
            return
        replayed.step(step_of(work))
        self.published.extend(work.outbox)
        self.simulations.extend(row for row in work.simulations if row.asker == Asker.MESSAGE)
        self.lines.extend(work.lines)
        self.idempotency.extend(work.idempotency)
        self.decisions.extend(work.decisions)
        self.checks.update({row.order_id: row for row in work.checks})
        self._made(replayed, work.orders, work.payments)
        self.note_answer(replayed)

    def note_answer(self, replayed: MessageReplay) -> None:
        """Notes what a repeat of this message hears from now on."""
        for record in self.case.idempotency.values():
            if record.message_no == replayed.stored.message_no and replayed.answer:
                record.state, record.answer = replayed.state, replayed.answer

    def _take_as_stored(self, replayed: MessageReplay) -> None:
        """Goes on from the stored rows, so that what follows is still compared."""
        replayed.trusted = False
        orders = [each.made for each in self.stored.orders.values() if each.made.message_no == replayed.stored.message_no]
        self.case.orders_made += len(orders)
        self.case.open_orders += len(orders)
        self.case.ordered_for = orders[0].person if orders else self.case.ordered_for
        if orders and replayed.message.edition >= Edition.OPENED_FOR:
            self.case.opened_for = orders[0].person
        lines = [line for each in orders for line in self.stored.lines.get(each.order_id, ())]
        self.lines.extend(lines)
        numbers = (numbers_up_to(self.case.case_id, line.line_id) for line in lines if not line.forwarded)
        self.case.numbered = max([self.case.numbered, *numbers])
        self._made(replayed, orders, [each.made for each in self.stored.payments if each.made.order_id in {of.order_id for of in orders}])

    def _made(self, replayed: MessageReplay, orders: list[OrderRow], payments: list[PaymentRow]) -> None:
        for each in orders:
            order = self._under_its_key(each)
            made = self.orders[order.order_id] = MadeOrder(order)
            self._by_lines.setdefault((order.area, order.correlation_key), []).append(made)
            replayed.open_orders.add(order.order_id)
            replayed.order_ids.append(order.order_id)
        for payment in payments:
            version = self.versions[payment.payment_id, payment.version] = Version(payment)
            self.by_order.setdefault(payment.order_id, []).append(version)

    def _under_its_key(self, order: OrderRow) -> OrderRow:
        """An early order is published under the sender's key to its end."""
        stored = self.stored.orders.get(order.order_id)
        early = stored is not None and stored.made.published_under is None and order.message_no in self.early
        return replace(order, published_under=None) if early else order

    def _settled(self, entry: AuditRow, outcome: ReceiptOutcome) -> None:
        """An entry about a receipt: the receipt is decided again, and its effect applied again."""
        order = self.orders.get(entry.order_id or "")
        if order is None or order.state not in OPEN_ORDER:
            self.differs(Kind.ENTRY, entry.seq, f"settles order {entry.order_id}, which is not open")
            return
        replayed = self.message_replays[order.made.message_no]
        receipt = self.receipts.get(entry.receipt_no or 0)
        if receipt is None:
            self.differs(Kind.ENTRY, entry.seq, f"names receipt {entry.receipt_no}, which its order does not have")
            replayed.trusted = False
        else:
            self._rule_again(entry, order, receipt, outcome)
        order.ruled[entry.receipt_no or 0] = outcome
        self._book_again(entry, order, replayed, receipt, outcome)

    def _withdrawn(self, entry: AuditRow) -> None:
        """An entry about an order that an operator took back before it was sent."""
        order = self.orders.get(entry.order_id or "")
        if order is None or order.state not in OPEN_ORDER:
            self.differs(Kind.ENTRY, entry.seq, f"takes back order {entry.order_id}, which is not open")
            return
        replayed = self.message_replays[order.made.message_no]
        order.settled_by, order.state = entry, OrderState.WITHDRAWN
        replayed.open_orders.discard(order.made.order_id)
        self.case.open_orders -= 1
        self.drop(order.made)
        if replayed.trusted:
            refusal = refusal_of(self, order.made.order_id)
            event = OrderWithdrawn(order.made.order_id, Area(order.made.area), not replayed.open_orders, refusal)
            self.publish(replayed, event, entry.at)
            answer = replayed.answer or b""
            if replayed.stored.message_no in self.early and says_the_same(replayed.contract, answer, replayed.stored.answer):
                answer = replayed.stored.answer or answer
            if (digest(answer), replayed.stored.message_no) != (entry.digest, entry.message_no):
                self.differs(Kind.ENTRY, entry.seq, "is not what taking back an order makes")
        if not replayed.open_orders:
            replayed.state, replayed.answered_at = MessageState.ANSWERED, entry.at
        self.note_answer(replayed)

    def _rule_again(self, entry: AuditRow, order: MadeOrder, receipt: Observation, outcome: ReceiptOutcome) -> None:
        content = digest(order.made.message, receipt.raw_severity.encode(), receipt.text.encode())
        if (content, order.made.message_no) != (entry.digest, entry.message_no):
            self.differs(Kind.ENTRY, entry.seq, "is not what the stored order and receipt give")
        same_lines = [each.as_candidate for each in self._by_lines.get((receipt.area, receipt.correlation_key), ())]
        answered = self.rail.match(receipt, same_lines) if receipt.case == self.case.key else None
        if answered is None or answered.order_id != order.made.order_id:
            self.differs(Kind.RECEIPT, entry.receipt_no, "answers another order than the one that it settled")
        # How far an order had come when its receipt arrived is not kept, and makes a difference only for one that may be there twice.
        by_hand = self.stored.receipts[entry.receipt_no or 0].by_hand
        states = (OrderState.SENT, OrderState.UNKNOWN)
        found = replace(order.as_candidate, said=said_before(self, order, entry.receipt_no or 0))
        possible = {decide(self.rail, receipt, replace(found, state=state), by_hand=by_hand) for state in states}
        if outcome not in possible:
            self.differs(Kind.RECEIPT, entry.receipt_no, f"was ruled {outcome.value}, which its words do not say")

    def _book_again(
        self, entry: AuditRow, order: MadeOrder, replayed: MessageReplay, receipt: Observation | None, outcome: ReceiptOutcome
    ) -> None:
        versions = self.as_ordered(order.made)
        answered = order.settled_by is not None
        order.settled_by = entry
        said = self.stored.receipts.get(entry.receipt_no or 0)
        order.by_hand = said is not None and said.by_hand
        if outcome is ReceiptOutcome.UNCLEAR:
            order.state = OrderState.UNKNOWN
        else:
            order.state = OrderState(outcome.value)
            replayed.open_orders.discard(order.made.order_id)
            self.case.open_orders -= 1
            self.accept(order.made, entry) if outcome is ReceiptOutcome.ACCEPTED else self.drop(order.made)
        final = outcome is not ReceiptOutcome.UNCLEAR and not replayed.open_orders
        if final:
            replayed.state, replayed.answered_at = MessageState.ANSWERED, entry.at
        if receipt is not None and replayed.trusted:
            body = self.stored.receipts[entry.receipt_no or 0].body
            settled = Settled(replace(order.as_candidate, answered=answered), receipt, entry.receipt_no or 0, outcome, body)
            self._publish_again(entry, replayed, settled, versions, final=final)
        self.note_answer(replayed)

    def _publish_again(
        self, entry: AuditRow, replayed: MessageReplay, settled: Settled, versions: Sequence[PaymentVersion], *, final: bool
    ) -> None:
        self.publish(replayed, ReceiptRead(settled, versions), entry.at)
        unclear = settled.outcome is ReceiptOutcome.UNCLEAR
        self.publish(replayed, OrderUnclear(settled) if unclear else OrderSettled(settled), entry.at)
        if final:
            self.publish(replayed, AllSettled(settled), entry.at)

    def publish(self, replayed: MessageReplay, event: Event, at: datetime) -> None:
        """Publishes what a message's contract makes of an event, and keeps the answer that it has from then on."""
        published, answer = self.made_of(replayed, event, at)
        self.published.extend(published)
        replayed.answer = answer or replayed.answer

    def made_of(self, replayed: MessageReplay, event: Event, at: datetime) -> tuple[Sequence[OutboxRow], bytes | None]:
        """Returns what a message's contract makes of an event: the records, and the answer."""
        work = UnitOfWork()
        orders = self._orders_of(replayed) if replayed.contract.replies_from_body else ()
        answer = OutboxWriter(self.contracts, work).publish(event, replayed.in_progress(orders), at)
        return work.outbox, answer

    def _orders_of(self, replayed: MessageReplay) -> tuple[OrderOfMessage, ...]:
        made = [self.orders[order_id].made for order_id in replayed.order_ids]
        return tuple([OrderOfMessage(each.order_id, each.reconciliation_key, each.made_at, each.message) for each in made])

    def as_ordered(self, order: OrderRow) -> Sequence[PaymentVersion]:
        """The versions of an order as they stand in it."""
        made = sorted(self.by_order.get(order.order_id, ()), key=lambda each: each.made.position)
        return [each.as_made for each in made]

    def accept(self, order: OrderRow, entry: AuditRow, *, again: str = "") -> None:
        """The versions of an order become the truth."""
        became = self.by_order.get(order.order_id, ())
        for version in became:
            self.becomes_true(version)
        self.case.known_to_rail(Area(order.area), order.person)
        self.settle_in(order, became, entry, again=again)

    def settle_in(self, order: OrderRow, changed: Sequence[Version], entry: AuditRow, *, again: str = "") -> None:
        """Puts what holds now in its order, and publishes the case list."""
        in_list_order = sorted(self.case.payments, key=self.case.position_in_case.__getitem__)
        self.case.payments = {payment_id: self.case.payments[payment_id] for payment_id in in_list_order}
        if changed:
            self.relist(order, entry, again=again)

    def becomes_true(self, version: Version) -> None:
        """A version of a payment is the truth from now on."""
        if before := self._current.get(version.made.payment_id):
            before.superseded = True
        version.state = PaymentState.ACCEPTED
        self.case.learnt([version.made.payment_id])
        self.hold(version.made.payment_id, version)

    def hold(self, payment_id: str, version: Version | None) -> None:
        """The version of a payment that holds from now on, or none."""
        if version is None:
            self._current.pop(payment_id, None)
            return
        version.superseded = False
        self._current[payment_id] = version
        self.case.accepted(version.made.document, version.made.position_in_case)

    def moved_away(self, payment_id: str) -> None:
        """A payment holds no more under its id: it goes on under another one."""
        self._current.pop(payment_id).superseded = True

    def relist(self, order: OrderRow, entry: AuditRow, *, again: str = "") -> None:
        """Tells the case list as an order leaves it."""
        work = UnitOfWork()
        living = [each.payment_id for each in self.case.payments.values() if each.action is not Action.DELETE]
        listed = CaseListed(self.case.scheme, self.case.case_id, living, order.message_no, f"{order.order_id}{again}")
        contract = self.message_replays[order.message_no].contract
        OutboxWriter(self.contracts, work).announce(contract, listed, order.message_no, entry.at)
        self.lists.setdefault(order.message_no, []).extend(work.outbox)

    def drop(self, order: OrderRow) -> None:
        """The versions of an order will never be."""
        for version in self.by_order.get(order.order_id, ()):
            version.state = PaymentState.DROPPED
