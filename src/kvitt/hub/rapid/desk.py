"""The desk for needs: each one becomes an order of its sender's own lines, or is answered at once (rapid §2.3, design §7, §12)."""

from datetime import datetime
from typing import Final

from kvitt.hub.case import Case
from kvitt.hub.keep import keep
from kvitt.hub.rapid.derive import forwarded_order
from kvitt.hub.rapid.standing import UNTOLD, identity_of
from kvitt.hub.rapid.tell import NeedTeller
from kvitt.hub.rapid.values import Standing
from kvitt.hub.store_order import store_order
from kvitt.hub.taken import Taken
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import oslo
from kvitt.rules.holding import reasons_to_hold
from kvitt.rules.needs import Need, digest_of, reconciliation_key
from kvitt.rules.rail_port import Rails
from kvitt.rules.states import MessageState, What
from kvitt.rules.values import Refusal
from kvitt.store.rows import MessageRow, NeedRow
from kvitt.wire.rapid import solutions
from kvitt.wire.rapid.need import InvalidNeed
from kvitt.wire.rapid.solutions import TEXTS, Solution, SolutionStatus

_NOT_MADE: Final = "Kunne ikke opprette nytt Oppdrag"
TECHNICAL: Final = f"{_NOT_MADE} pga. teknisk feil: "
_INVALID: Final = f"{_NOT_MADE}, behovet er ugyldig: "
_USED_OTHERWISE: Final = f"{_NOT_MADE}: utbetalingId og fagsystemId er brukt før, med et annet innhold"
_OUR_FAULT = 500


class NeedDesk:
    """Handles needs of locked cases one by one at one moment, as `Desk` does messages of the other dialect."""

    def __init__(self, facts: UnitOfWork, now: datetime, rails: Rails, *, answer_invalid: bool = True) -> None:
        self._facts, self._now, self._rails, self._answer_invalid = facts, now, rails, answer_invalid

    def take(self, case: Case | None, message: Taken, record: MessageRow, reason: str | None = None) -> MessageState:
        """Handles a need that has just come in, answers its repeat, or queues it behind what its case is busy with."""
        need = message.claims
        if isinstance(need, InvalidNeed):
            return self._invalid(message, record, need)
        if isinstance(need, Refusal):
            return self.refuse(case, message, record, need, reason)
        assert isinstance(need, Need), "claims have a desk of their own"
        assert case is not None, "a need that can be read has a case"
        if not need.lines:
            return self._nothing_asked(case, message, record)
        standing = case.standings.get(identity_of(need))
        if standing and not standing.may_come_again:
            return self._repeated(case, message, record, need, standing)
        if case.busy:
            self.wait(case, message, record)
            return MessageState.WAITING
        return self.handle(case, message, record)

    def _teller(self, message: Taken) -> NeedTeller:
        return NeedTeller(self._facts, message, message.body, message.received_at or self._now, self._now)

    def wait(self, case: Case, message: Taken, record: MessageRow) -> None:
        """Queues a need behind its case's open order; the sender hears MOTTATT, without a key as long as there is no order."""
        assert isinstance(message.claims, Need), "only needs wait here"
        teller = self._teller(message)
        teller.answer(UNTOLD, teller.event("waiting"))
        self._let_in(case, message, message.claims, MessageState.WAITING, UNTOLD)
        keep(self._facts, self._now, message.message_no, record, case_no=case.case_no, state=MessageState.WAITING, answer=UNTOLD)
        case.waiting += 1
        case.note(self._facts, self._now, What.WAITING, digest(message.body), message_no=message.message_no)

    def _let_in(self, case: Case, message: Taken, need: Need, state: MessageState, told: bytes) -> None:
        """From now on this need decides what a repeat of its identity is told."""
        identity, asked = identity_of(need), digest_of(need)
        case.standings[identity] = Standing(message.message_no, asked, state, told)
        self._facts.needs.append(NeedRow(message.message_no, case.case_no, *identity, asked))

    def handle(self, case: Case | None, message: Taken, record: MessageRow | None) -> MessageState:
        """Makes the order of a need whose turn it is; gives its new state. `record` is its row-to-be, None when it is stored already."""
        need = message.claims
        if isinstance(need, Refusal):
            return self.refuse(case, message, record, need)
        assert isinstance(need, Need), "only needs with lines wait for their turn"
        assert case is not None, "a need that can be read has a case"
        at, number = oslo(self._now), case.orders_made + 1
        key = reconciliation_key(self._now, message.message_no)
        made = forwarded_order(need, number, key, at)
        order = made.order_id
        rail = self._rails.of(made.scheme)
        encoded = rail.encode(made)
        told = solutions.encode(Solution(SolutionStatus.RECEIVED, TEXTS[SolutionStatus.RECEIVED], key=key))
        teller = self._teller(message)
        teller.answer(told, teller.event("received"))
        teller.payment_order(need, key, order)
        reasons = reasons_to_hold((made,), case.state())[0]
        store_order(self._facts, case, made, encoded, reasons, message_no=message.message_no, now=self._now)
        if record is not None:
            self._let_in(case, message, need, MessageState.DERIVED, told)
        keep(self._facts, self._now, message.message_no, record, case_no=case.case_no, state=MessageState.DERIVED, answer=told)
        case.note(self._facts, self._now, What.ORDERED, digest(message.body, encoded.message), message_no=message.message_no)
        case.orders_made += 1
        case.open_orders += 1
        return MessageState.DERIVED

    def refuse(
        self,
        case: Case | None,
        message: Taken,
        record: MessageRow | None,
        refusal: Refusal,
        reason: str | None = None,  # noqa: ARG002 - on the rapid the refusal itself says why
    ) -> MessageState:
        """Answers FEIL for good; what is kvitt's own fault is told as such."""
        return self._failed(case, message, record, f"{TECHNICAL}{refusal.text}" if refusal.status >= _OUR_FAULT else refusal.text)

    def _invalid(self, message: Taken, record: MessageRow, need: InvalidNeed) -> MessageState:
        if not self._answer_invalid:
            keep(self._facts, self._now, message.message_no, record, case_no=None, state=MessageState.ANSWERED, answer=None)
            return MessageState.ANSWERED
        return self._failed(None, message, record, _INVALID + "; ".join(need.problems))

    def _failed(self, case: Case | None, message: Taken, record: MessageRow | None, text: str) -> MessageState:
        told = solutions.encode(Solution(SolutionStatus.FAILED, text))
        teller = self._teller(message)
        teller.answer(told, teller.event("failed"))
        return self._answered(case, message, record, told)

    def _repeated(self, case: Case, message: Taken, record: MessageRow, need: Need, standing: Standing) -> MessageState:
        """Tells once more what was told last, or refuses another content under the same identity; nothing is sent (design §12)."""
        if standing.digest != digest_of(need):
            return self._failed(case, message, record, _USED_OTHERWISE)
        teller = self._teller(message)
        teller.answer(standing.told, teller.event("repeated"))
        return self._answered(case, message, record, standing.told)

    def _nothing_asked(self, case: Case, message: Taken, record: MessageRow) -> MessageState:
        """A need without lines asks for nothing, and hears nothing (rapid §2.3)."""
        keep(self._facts, self._now, message.message_no, record, case_no=case.case_no, state=MessageState.ANSWERED, answer=None)
        case.note(self._facts, self._now, What.ANSWERED, digest(message.body), message_no=message.message_no)
        return MessageState.ANSWERED

    def _answered(self, case: Case | None, message: Taken, record: MessageRow | None, told: bytes) -> MessageState:
        keep(
            self._facts,
            self._now,
            message.message_no,
            record,
            case_no=case.case_no if case else None,
            state=MessageState.ANSWERED,
            answer=told,
        )
        if case:
            case.note(self._facts, self._now, What.ANSWERED, digest(message.body, told), message_no=message.message_no)
        return MessageState.ANSWERED
