"""Compares the rows that a replay makes with the rows that are stored: cases, messages, orders, lines, payments, receipts."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import product

from msgspec.structs import replace

from kvitt.disbursement.check.contradicted import said_before
from kvitt.disbursement.check.earlier import says_the_same
from kvitt.disbursement.check.made import MadeContradiction, MadeOrder, unequal
from kvitt.disbursement.check.order_check import possible_holds
from kvitt.disbursement.check.replay import Replay
from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.stored import StoredOrder, StoredReceipt
from kvitt.disbursement.holding import GUARD, IN_CONTRADICTION, decode_all, encode_all
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.receipts import decide
from kvitt.disbursement.rows import LineRow, OrderRow
from kvitt.disbursement.states import OPEN_ORDER, MessageState, OrderState

_SETTLING = frozenset({ReceiptOutcome.ACCEPTED, ReceiptOutcome.REJECTED})
_MOVES_NOTHING = frozenset(
    {ReceiptOutcome.SETTLED, ReceiptOutcome.RETURNED, ReceiptOutcome.CANCELLED, ReceiptOutcome.NOTED, ReceiptOutcome.REPEAT}
)
_OF_A_CASE = (
    *("person", "areas", "orders_made", "open_orders", "queued", "contradictions", "unknown"),
    *("contract", "frame", "numbered", "ordered_for", "opened_for"),
)


def compare(replay: Replay) -> None:
    """Notes every row of the case that is not what its replay makes, and every row that nothing made."""
    outcome = _Comparison(replay)
    outcome.case()
    outcome.messages()
    outcome.orders()
    outcome.lines()
    outcome.limited()
    outcome.idempotency()
    outcome.decisions()
    outcome.payments()
    outcome.receipts()
    outcome.contradictions()


class _Comparison:
    def __init__(self, replay: Replay) -> None:
        self._replay, self._stored = replay, replay.stored
        self._found: Findings = replay.found

    def _differs(self, kind: Kind, subject: object, text: str) -> None:
        self._found.differs(kind, self._stored.case_no, subject, text)

    def case(self) -> None:
        made = self._replay.case
        row = self._stored.row
        for name in _OF_A_CASE:
            if getattr(made, name) != getattr(row, name):
                self._differs(Kind.CASE, name, "is not what the case's history makes")
        if made.queued and made.may_go_on:
            self._differs(Kind.STUCK, "queued", f"{made.queued} messages wait behind no open order")

    def messages(self) -> None:
        for number, stored in self._stored.messages.items():
            if hashlib.sha256(stored.body).digest() != stored.digest:
                self._differs(Kind.MESSAGE, number, "has another body than came in")
            replayed = self._replay.message_replays.get(number)
            if replayed is None:
                self._differs(Kind.MESSAGE, number, "is in no entry of the audit chain")
                continue
            case = self._replay.case
            if replayed.parsed.case_key != (case.scheme, case.case_id) or stored.scheme != case.scheme:
                self._differs(Kind.MESSAGE, number, "belongs to another case")
            if replayed.parsed.dry_run != stored.dry_run:
                self._differs(Kind.MESSAGE, number, "differs in dry_run")
            made = (replayed.state, replayed.derived_at, replayed.answered_at, replayed.answer)
            if number in self._replay.early and says_the_same(replayed.contract, replayed.answer, stored.answer):
                made = (*made[:3], stored.answer)
            stands = (stored.state, stored.derived_at, stored.answered_at, stored.answer)
            if replayed.trusted and made != stands:
                names = zip(("state", "derived_at", "answered_at", "answer"), made, stands, strict=True)
                self._differs(Kind.MESSAGE, number, f"differs in {', '.join(name for name, given, stood in names if given != stood)}")
            asked = self._stored.simulations.get(number)
            waits = asked.request.is_open if asked else self._is_open(replayed.order_ids)
            if stored.state in (MessageState.RECEIVED, MessageState.DERIVED) and not waits:
                self._differs(Kind.STUCK, number, f"is {stored.state}, and no order or simulation of it is open")

    def _is_open(self, order_ids: Sequence[str]) -> bool:
        stored = (self._stored.orders.get(order_id) for order_id in order_ids)
        return any(each is not None and each.state in OPEN_ORDER for each in stored)

    def orders(self) -> None:
        made = self._replay.orders
        for order_id, stored in self._stored.orders.items():
            if order_id not in made:
                self._differs(Kind.ORDER, order_id, "is in no entry of the audit chain")
                continue
            given = self._held(made[order_id], stored)
            if stored.made != given:
                self._differs(Kind.ORDER, order_id, f"differs in {unequal(given, stored.made)}")
            if stored.resends != self._replay.resent.get(order_id, 0):
                self._differs(Kind.ORDER, order_id, f"was sent once more {stored.resends} times, and operators had it otherwise")
            self._progress(made[order_id], stored)
            self._checked(order_id)
        for order_id in made.keys() - self._stored.orders.keys():
            self._differs(Kind.ORDER, order_id, "is missing")

    def _checked(self, order_id: str) -> None:
        """Whether it is checked before it leaves, and about what the rail is asked."""
        made, stored = self._replay.checks.get(order_id), self._stored.checks.get(order_id)
        if (made and made.question) != (stored[-1].question if stored else None):
            self._differs(Kind.ORDER, order_id, "is checked before it leaves otherwise than its message makes it")

    def _held(self, made: MadeOrder, stored: StoredOrder) -> OrderRow:
        """The order with what holds it now: what held it when it was made, unless that was released, and what contradicts its case."""
        # By older rules it was held, or let go, for what is not looked at any more.
        judged = made.made.held_for if stored.guard == GUARD else stored.made.held_for
        reasons = tuple(each for each in decode_all(judged) if stored.guard == GUARD or each != IN_CONTRADICTION)
        contradicted = (IN_CONTRADICTION,) if made.in_contradiction else ()
        released = made.made.order_id in self._replay.released
        given = [encode_all((*each, *contradicted)) for each in possible_holds(reasons, made.checked, released=released)]
        return replace(made.made, held_for=next((each for each in given if each == stored.made.held_for), given[0]))

    def _progress(self, made: MadeOrder, stored: StoredOrder) -> None:
        """An order without a settling receipt may be anywhere on its way; one with is where the receipt has put it."""
        order_id, entry = stored.made.order_id, made.settled_by
        if stored.decided_by_hand != made.by_hand:
            self._differs(Kind.ORDER, order_id, "is not said to be decided by whoever decided it")
        if stored.taken_back != made.taken_back:
            self._differs(Kind.ORDER, order_id, "is not said to be taken back as it was")
        if made.state in OPEN_ORDER:
            if stored.state not in OPEN_ORDER:
                self._differs(Kind.ORDER, order_id, f"is {stored.state}, and no receipt says so")
            elif stored.settled_at is not None:
                self._differs(Kind.ORDER, order_id, "is open and has a time of settling")
            if stored.receipt_no != (entry and entry.receipt_no):
                self._differs(Kind.ORDER, order_id, "names another receipt than the one that left it unknown")
        elif entry and (stored.state, stored.receipt_no) != (made.state, entry.receipt_no):
            self._differs(Kind.ORDER, order_id, f"is {stored.state}, where its history makes it {made.state.value}")
        elif entry and stored.settled_at != entry.at and made.state is not OrderState.WITHDRAWN:
            self._differs(Kind.ORDER, order_id, "was settled at another time than its entry says")
        was_sent = stored.state == OrderState.SENT or (entry is not None and made.state is not OrderState.WITHDRAWN)
        if was_sent and stored.sent_at is None:
            self._differs(Kind.ORDER, order_id, "has no time of sending")

    def lines(self) -> None:
        """Lines are compared by place; ids of new lines are looked at over all cases elsewhere."""
        made = {(line.order_id, line.position): line for line in self._replay.lines}
        stored: dict[tuple[str, int], LineRow] = {}
        for lines in self._stored.lines.values():
            stored.update({(line.order_id, line.position): line for line in lines})
        for place in made.keys() | stored.keys():
            given, stands = made.get(place), stored.get(place)
            if given == stands:
                continue
            if given is None or stands is None:
                text = "is missing" if stands is None else "is a line that its order does not have"
            else:
                text = f"differs in {unequal(given, stands)}"
            self._differs(Kind.LINE, f"{place[0]}/{place[1]}", text)

    def limited(self) -> None:
        """Compares what each order counts on the limit of its source; what sources used in an hour is proved of it over all cases."""
        for order_id, stored in self._stored.limited.items():
            if self._replay.outside.counts.get(order_id) != stored:
                self._differs(Kind.ORDER, order_id, "counts otherwise on the limit of its source than it pays")

    def idempotency(self) -> None:
        made = {each.message_no: each for each in self._replay.idempotency}
        for stored in self._stored.idempotency:
            given = made.pop(stored.message_no, None)
            if given != stored:
                text = f"differs in {unequal(given, stored)}" if given else "has an idempotency record that its handling does not make"
                self._differs(Kind.MESSAGE, stored.message_no, text)
        for number in made:
            self._differs(Kind.MESSAGE, number, "has no idempotency record")

    def decisions(self) -> None:
        made = {each.message_no: each for each in self._replay.decisions}
        for stored in self._stored.decisions:
            given = made.pop(stored.message_no, None)
            if given != stored:
                text = f"differs in {unequal(given, stored)}" if given else "is no message that came in by a call"
                self._differs(Kind.MESSAGE, stored.message_no, f"as a call {text}")
        for number in made:
            self._differs(Kind.MESSAGE, number, "is not noted as a call")

    def payments(self) -> None:
        made = dict(self._replay.versions)
        for stored in self._stored.payments:
            version = made.pop((stored.made.payment_id, stored.made.version), None)
            subject = f"{stored.made.payment_id} version {stored.made.version}"
            if version is None:
                self._differs(Kind.PAYMENT, subject, "is in no entry of the audit chain")
                continue
            if stored.made != version.made:
                self._differs(Kind.PAYMENT, subject, f"differs in {unequal(version.made, stored.made)}")
            if (stored.state, stored.superseded) != (version.state, version.superseded):
                given = f"{version.state.value}{', superseded' if version.superseded else ''}"
                self._differs(Kind.PAYMENT, subject, f"is {stored.state}, superseded={stored.superseded}, where its orders make it {given}")
        for payment_id, number in made:
            self._differs(Kind.PAYMENT, f"{payment_id} version {number}", "is missing")

    def receipts(self) -> None:
        for number, stored in self._stored.receipts.items():
            if hashlib.sha256(stored.body).digest() != stored.digest:
                self._differs(Kind.RECEIPT, number, "has another body than came in")
            receipt = self._replay.receipts.get(number)
            if receipt is not None and (receipt.raw_severity, receipt.code, receipt.text) != (stored.severity, stored.code, stored.note):
                self._differs(Kind.RECEIPT, number, "is noted with other words than it has")
            self._outcome(number, stored)

    def _outcome(self, number: int, stored: StoredReceipt) -> None:
        order = self._replay.orders.get(stored.order_id or "")
        ruled = order.ruled.get(number) if order else None
        contradicts = any(each.receipt_no == number for each in self._replay.contradictions)
        if stored.outcome in _SETTLING and ruled != stored.outcome:
            self._differs(Kind.RECEIPT, number, f"is {stored.outcome}, and its order was not settled by it")
        elif stored.outcome not in (*_SETTLING, ReceiptOutcome.UNCLEAR) and ruled is not None:
            self._differs(Kind.RECEIPT, number, f"is {stored.outcome}, and its order was settled by it")
        elif contradicts != (stored.outcome == ReceiptOutcome.CONTRADICTS):
            self._differs(Kind.RECEIPT, number, f"is {stored.outcome}, and {'contradicts' if contradicts else 'no entry says'} what stood")
        elif stored.outcome == ReceiptOutcome.REPEAT and (order is None or order.state in OPEN_ORDER):
            self._differs(Kind.RECEIPT, number, "repeats what never was answered")
        elif stored.outcome in _MOVES_NOTHING and not (order and stored.outcome in self._possible(number, order)):
            self._differs(Kind.RECEIPT, number, f"is {stored.outcome}, which its words do not say")

    def _possible(self, number: int, order: MadeOrder) -> set[ReceiptOutcome]:
        """Returns the outcomes that a receipt may have had which moved nothing: how far its order had come by then is not kept."""
        receipt = self._replay.receipts.get(number)
        if receipt is None:
            return set()
        against = [each for each in self._replay.contradictions if each.order_id == order.made.order_id]
        states = {*OPEN_ORDER, order.state, *(each.ours for each in against), *(each.rails for each in against)}
        found = replace(order.as_candidate, said=said_before(self._replay, order, number))
        tried = product(states, (False, True), {None, *(each.rails.value for each in against)})
        return {
            decide(self._replay.rail, receipt, replace(found, state=state, was_unknown=was_unknown, contradicted=contradicted))
            for state, was_unknown, contradicted in tried
        }

    def contradictions(self) -> None:
        """Who resolved them and why is compared with the operators' chain, over all cases at once."""
        made = {(each.order_id, each.receipt_no): each for each in self._replay.contradictions}
        for stored in self._stored.contradictions:
            given = made.pop((stored.order_id, stored.receipt_no), None)
            if given is None:
                self._differs(Kind.CONTRADICTION, stored.order_id, "contradicts what stood, and no entry says so")
            elif _progressed(given) != (stored.ours, stored.rails, stored.found_at, stored.resolution, stored.resolved_at):
                self._differs(Kind.CONTRADICTION, stored.order_id, "is not what the case's history makes it")
        for order_id, _ in made:
            self._differs(Kind.CONTRADICTION, order_id, "is missing")


def _progressed(made: MadeContradiction) -> tuple[str, str, datetime, str | None, datetime | None]:
    end = made.resolution
    return made.ours.value, made.rails.value, made.found_at, end.what if end else None, end.at if end else None
