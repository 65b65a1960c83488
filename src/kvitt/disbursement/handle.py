"""Handle: what a message does to its case at one moment, under the case's lock, whatever its contract (design §4 steps 3-5).

It is refused, queued, answered from a stored answer, found to change nothing, simulated, or made into orders. What its sender hears of it
is the contract's reply.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final

import psycopg
from msgspec.structs import replace

from kvitt.disbursement.caller import decision_row, noted_call
from kvitt.disbursement.case import Case
from kvitt.disbursement.catalogue import ALIKE
from kvitt.disbursement.contract import DECISIONS, Contract, Contracts, WhenOrderIsOpen
from kvitt.disbursement.decisions import RECEIVED, DecisionOutcome, DecisionState, ReceivedDecision
from kvitt.disbursement.derive.forwarded import reasons_to_hold_lines
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.events import Event, Ordered, Queued, Refused, Repeated, Reply, Simulated, Unchanged
from kvitt.disbursement.holding import HoldReason, reasons_to_hold
from kvitt.disbursement.inbox import IdempotencyRecord, InboxMessage, Incoming, Interpreted, ParsedRecord, failed
from kvitt.disbursement.order_checks import CheckedMessage, check_first
from kvitt.disbursement.outside import Outside, OutsideFindings, look_outside
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.refusals import BASE, NOT_SIMULATED
from kvitt.disbursement.rows import IdempotencyRow, LineOfOtherCase, MessageRow, MessageStep, OtherCase, PaymentOfOtherCase
from kvitt.disbursement.simulation import SimulationFailure
from kvitt.disbursement.simulation_requests import by_message, open_order_failure, questions_of, request_rows
from kvitt.disbursement.states import MessageState, What
from kvitt.disbursement.unit_of_work import UnitOfWork, publish, store_order
from kvitt.disbursement.validate import Unvalidated
from kvitt.disbursement.values import InvalidForm, LineAtRail, Order, Refusal, Scheme
from kvitt.kernel.audit import digest
from kvitt.kernel.fetch import Lookup, fetch, fetch_values_later
from kvitt.kernel.queries import load

_OTHER_CASES: Final = load("other_cases", "kvitt.disbursement")
_MOST_OTHER_CASES: Final = 100
"""So many other cases of a person are looked at, newest first."""


def parse(contracts: Contracts, record: Incoming) -> Interpreted:
    """A record as its contract reads it; one on which reading itself fails is answered and kept like any that kvitt fails on."""
    contract = contracts.of[record.source]
    try:
        return contract.read(record)
    except Exception as error:  # noqa: BLE001 - the failure becomes this message's stored answer
        return failed(record, contract.sources[record.source], error)


def find_other_cases(cursor: psycopg.Cursor[Any], asking: Sequence[tuple[Case, str]], forwarding: AbstractSet[Scheme]) -> Lookup:
    """Gives cases what others pay the persons for whom they may be ordered for; senders of `forwarding` schemes make the lines.

    The persons are locked (`outside.lock_persons`), so that two cases that are ordered for at the same time see each other.
    """
    for case, _ in asking:
        case.of_other_cases.clear()
    if not asking:
        return
    several = fetch_values_later(cursor, _OTHER_CASES.cases_of_persons, _columns(asking))
    yield
    by_number = {case.case_no: case for case, _ in asking}
    near = frozenset(several())
    found: list[PaymentOfOtherCase | LineOfOtherCase] = []
    if paying := [each for each in asking if each[0].case_no in near and each[0].scheme not in forwarding]:
        columns = [*_columns(paying), _MOST_OTHER_CASES]
        found += fetch(cursor, PaymentOfOtherCase, _OTHER_CASES.payments_of_other_cases, columns, other=OtherCase)
    if lined := [each for each in asking if each[0].case_no in near and each[0].scheme in forwarding]:
        columns = [*_columns(lined), _MOST_OTHER_CASES]
        found += fetch(cursor, LineOfOtherCase, _OTHER_CASES.lines_of_other_cases, columns, other=OtherCase, line=LineAtRail)
    for row in found:
        by_number[row.other.asked_by].of_other_cases.append(row)


def _columns(asking: Iterable[tuple[Case, str]]) -> list[Any]:
    return [*map(list, zip(*((case.case_no, person, ",".join(ALIKE[case.scheme])) for case, person in asking), strict=True))]


def numbered(parsed: ParsedRecord, message_no: int, received_at: datetime) -> InboxMessage:
    """A record that was read, as the message that it is under its number."""
    incoming = parsed.incoming
    assert incoming.body is not None, "tombstones are skipped"
    return InboxMessage(
        message_no=message_no,
        source=incoming.source,
        partition=incoming.partition,
        position=incoming.position,
        key=incoming.key,
        headers=incoming.headers,
        scheme=parsed.scheme,
        body=incoming.body,
        received_at=received_at,
        edition=incoming.edition,
        content=parsed.content,
        dry_run=parsed.dry_run,
        identity=parsed.identity,
    )


class Handler:
    """Handles messages of one contract at one moment; what each one causes goes to `work` only when all of it is sound.

    Everywhere `record` is the row-to-be of the message, None when it is stored already.
    """

    def __init__(
        self,
        contract: Contract,
        rails: Rails,
        work: UnitOfWork,
        now: datetime,
        *,
        published_questions: Sequence[bytes] | None = None,
        outside: Outside | None = None,
        unvalidated: "list[Unvalidated] | None" = None,
    ) -> None:
        """`published_questions`: of a dry run of earlier days, what was published for others to ask.

        `outside` finds what holds an order and is not in its case; None where nothing can be found. `unvalidated` takes what is made
        for whoever validates it with more, before it is stored; None: each order is validated as it is made.
        """
        self._contract, self._rails, self._work, self._now = contract, rails, work, now
        self._published_questions, self._outside, self._unvalidated = published_questions, outside, unvalidated

    def receive(self, case: Case | None, message: InboxMessage, record: MessageRow, reason: str | None = None) -> MessageState:
        """Handles a message that has just come in, answers its repeat, or queues it behind the open order of its case."""
        if isinstance(message.content, Refusal):
            return self._refuse_form(case, message, record, message.content, reason)
        assert case is not None, "a message that can be read has a case"
        if stored := self.stored_answer(case, message):
            return self._repeat(case, message, record, stored)
        if self.is_of_another(case, message):
            return self._refuse_of_another(case, message, record)
        if message.dry_run and (waits := open_order_failure(case, self._now)):
            return self.refuse(case, message, record, self._contract.refused_while_order_is_open(message, waits.text))
        if case.must_queue:
            decided = self._contract.when_order_is_open(message)
            if decided is WhenOrderIsOpen.QUEUE:
                return self.queue(case, message, record)
            if isinstance(decided, Refusal):
                return self.refuse(case, message, record, decided)
        return self.handle(case, message, record, in_turn=not case.must_queue)

    def is_of_another(self, case: Case, message: InboxMessage) -> bool:
        """Whether another contract opened the case: then nothing of it is changed by this one."""
        if message.dry_run and case.contract in self._contract.simulates_for:
            return False
        return case.contract not in (None, self._contract.name)

    def _refuse_of_another(self, case: Case, message: InboxMessage, record: MessageRow | None) -> MessageState:
        assert case.contract is not None, "it is another's"
        return self.refuse(case, message, record, self._contract.owned_by_another(case.contract))

    def stored_answer(self, case: Case, message: InboxMessage) -> IdempotencyRecord | None:
        """The message that this one repeats, unless it may come again."""
        key = message.identity.key if message.identity else None
        stored = (case.idempotency.get(key) or _taken_over(case.received.get(key))) if key else None
        return None if stored is None or self._contract.may_come_again(stored) else stored

    def queue(self, case: Case, message: InboxMessage, record: MessageRow) -> MessageState:
        """Queues a message behind the case's open order."""
        self._store_message(case, message, record, MessageState.QUEUED, self._reply(Queued(), message))
        self._note_outcome(case, message, record, DecisionOutcome.QUEUED)
        case.queued += 1
        self._note(case, message, What.QUEUED, digest(message.body))
        return MessageState.QUEUED

    def handle(self, case: Case | None, message: InboxMessage, record: MessageRow | None, *, in_turn: bool = True) -> MessageState:
        """Derives and answers a message now; returns its new state. What is not `in_turn` may be refused, or change nothing."""
        if isinstance(message.content, Refusal):
            return self.refuse(case, message, record, message.content)
        assert case is not None, "a message that can be read has a case"
        if self.is_of_another(case, message):
            return self._refuse_of_another(case, message, record)
        derived = self._contract.derive(message, state := self._state(case, message), self._now)
        if isinstance(derived, Refusal):
            return self.refuse(case, message, record, derived)
        if not derived:
            self._note_received(case, message, state)
            return self._answer(case, message, record, Unchanged(message.dry_run))
        if message.dry_run:
            return self._simulate(case, message, record, derived)
        assert in_turn, "a contract that goes ahead of open orders makes none"
        done = self._order(case, message, record, derived, state)
        if done is MessageState.DERIVED:
            self._note_received(case, message, state)
        return done

    def _state(self, case: Case, message: InboxMessage) -> CaseState:
        """The case as the rules see it, with its chain of decisions for a contract that keeps one."""
        if not self._contract.keeps_chain:
            return case.state()
        assert not isinstance(message.content, Refusal), "a refusal is not derived"
        return case.state(case.chain(self._contract.previous_decision(message.content)))

    def _note_received(self, case: Case, message: InboxMessage, state: CaseState) -> None:
        """A decision that is received may set the frame of its case, and so opens it; whatever is received is for its person."""
        if self._contract.keeps_chain and not message.dry_run and (frame := self._contract.frame_after(message, state)):
            case.frame, case.contract = frame if frame.says_anything else None, self._contract.name
        if message.edition >= Edition.OPENED_FOR and not message.dry_run and not isinstance(message.content, Refusal):
            case.opened_for = message.content.payee or case.opened_for

    def refuse(
        self, case: Case | None, message: InboxMessage, record: MessageRow | None, refusal: Refusal, reason: str | None = None
    ) -> MessageState:
        """Answers a message with a refusal, for good."""
        return self._answer(case, message, record, Refused(refusal, reason))

    def ignore(self, message: InboxMessage, record: MessageRow | None) -> MessageState:
        """Keeps a message that breaks the rules of its form, and answers nothing."""
        self._store_message(None, message, record, MessageState.ANSWERED, Reply())
        return MessageState.ANSWERED

    def _refuse_form(
        self, case: Case | None, message: InboxMessage, record: MessageRow, refusal: Refusal, reason: str | None
    ) -> MessageState:
        if isinstance(refusal, InvalidForm) and not self._contract.answers_invalid:
            return self.ignore(message, record)
        return self.refuse(case, message, record, refusal, reason)

    def _repeat(self, case: Case, message: InboxMessage, record: MessageRow, stored: IdempotencyRecord) -> MessageState:
        """The stored answer once more; another content under the same identity is refused. Nothing is sent (design §12)."""
        assert message.identity is not None, "only what has an identity repeats"
        if stored.digest != message.identity.digest:
            return self.refuse(case, message, record, self._contract.refused_reuse(message, stored))
        return self._answer(case, message, record, Repeated(stored), known=False)

    def _reply(self, event: Event, message: InboxMessage) -> Reply:
        reply = self._contract.reply(event, message, self._now)
        publish(self._work, reply.records, message.message_no, self._now)
        return reply

    def _answer(
        self, case: Case | None, message: InboxMessage, record: MessageRow | None, event: Event, *, known: bool = True
    ) -> MessageState:
        """`known`: from now on a repeat hears this answer, unless it is a refusal."""
        reply = self._reply(event, message)
        refusal = event.refusal if isinstance(event, Refused) else None
        self._store_message(case, message, record, MessageState.ANSWERED, reply, known=known and refusal is None)
        self._note_outcome(case, message, record, _outcome(event), refusal)
        if case:
            said = () if reply.answer is None else (reply.answer,)
            self._note(case, message, What.ANSWERED, digest(message.body, *said), refusal)
        return MessageState.ANSWERED

    def _simulate(self, case: Case, message: InboxMessage, record: MessageRow | None, orders: Sequence[Order]) -> MessageState:
        rail = self._rails.simulating(message.scheme)
        if rail is None:
            return self.refuse(case, message, record, NOT_SIMULATED)
        if self._published_questions is not None:
            return self._simulated(case, message, record, Simulated(orders, self._published_questions))
        questions = questions_of(rail, orders)
        if isinstance(questions, SimulationFailure):
            return self.refuse(case, message, record, Refusal(422, questions.text, BASE))
        asked = by_message(self._contract.name, message.message_no)
        self._work.simulations += request_rows(asked, case.case_no, rail.name, orders=orders, questions=questions, now=self._now)
        return self._simulated(case, message, record, Simulated(orders), questions)

    def _simulated(
        self,
        case: Case,
        message: InboxMessage,
        record: MessageRow | None,
        event: Simulated,
        questions: Sequence[bytes] = (),
    ) -> MessageState:
        reply = self._reply(event, message)
        state = MessageState.ANSWERED if event.published else MessageState.DERIVED
        self._store_message(case, message, record, state, reply)
        self._note_outcome(case, message, record, DecisionOutcome.SIMULATED)
        content = digest(message.body, *event.published, *questions)
        self._note(case, message, What.SIMULATED, content)
        return state

    def _order(
        self,
        case: Case,
        message: InboxMessage,
        record: MessageRow | None,
        orders: Sequence[Order],
        state: CaseState,
    ) -> MessageState:
        looked = look_outside(self._outside, case, state, orders, contract=self._contract, message=message) if self._outside else ()
        held: Sequence[Sequence[HoldReason]] = self._reasons(orders, state, [found for _, found in looked])
        seen = self._contract.named_simulation(message)
        if (self._rails.checks or seen) and any(order.lines for order in orders):
            checked = CheckedMessage(case.case_no, message.message_no, self._contract.name, self._now, seen)
            held_for = check_first(self._work, self._rails, checked, orders, held)
            if isinstance(held_for, Refusal):
                return self.refuse(case, message, record, held_for)
            held = held_for
        case.contract = self._contract.name
        rail = self._rails.of[message.scheme]
        encoded = [rail.encode(order) for order in orders]
        made = [*zip(orders, encoded, strict=True)]
        if self._unvalidated is None:
            rail.validate(made)
        else:
            self._unvalidated += [(rail, each) for each in made]
        messages = [each.message for each in encoded]
        reply = self._reply(Ordered(case.case_no, orders, messages), message)
        for order, leaves, reasons in zip(orders, encoded, held, strict=True):
            own_key = reply.order_keys.get(order.order_id)
            store_order(
                self._work,
                case,
                order,
                leaves,
                reasons,
                message_no=message.message_no,
                now=self._now,
                published_under=own_key,
                chosen_ids=self._contract.callers_choose_ids,
            )
        self._store_message(case, message, record, MessageState.DERIVED, reply)
        self._note_outcome(case, message, record, DecisionOutcome.ORDERED)
        self._note(case, message, What.ORDERED, digest(message.body, *messages))
        case.orders_made += len(orders)
        case.numbered = max([case.numbered, *(order.numbered for order in orders)])
        case.open_orders += len(orders)
        case.open_since = case.open_since or self._now
        case.ordered_for = orders[0].person
        for asked, findings in looked:
            self._work.source_hours += self._outside.made(asked, findings) if self._outside else ()
            self._work.outside += [each.row(asked.order.order_id, place, case.case_no) for place, each in enumerate(findings)]
        return MessageState.DERIVED

    def _reasons(self, orders: Sequence[Order], state: CaseState, found: Sequence[OutsideFindings]) -> list[tuple[HoldReason, ...]]:
        """Why each order is held: by what its case shows, and by what was found outside it, where that was looked at."""
        held = reasons_to_hold_lines(orders, state) if self._contract.forwards else reasons_to_hold(orders, state)
        if not found:
            return [*held]
        return [(*by_case, *(each.reason for each in outside)) for by_case, outside in zip(held, found, strict=True)]

    def _store_message(
        self,
        case: Case | None,
        message: InboxMessage,
        record: MessageRow | None,
        state: MessageState,
        reply: Reply,
        *,
        known: bool = True,
    ) -> None:
        """A new row, or the next step of the one that was queued. `known`: from now on it decides what a repeat of it hears."""
        derived_at = None if state is MessageState.QUEUED else self._now
        answered_at = self._now if state is MessageState.ANSWERED else None
        if record is None:
            self._work.steps.append(MessageStep(message.message_no, state.value, derived_at, answered_at, reply.answer))
            return
        case_no = case.case_no if case else None
        moved = replace(record, case_no=case_no, state=state.value, derived_at=derived_at, answered_at=answered_at, answer=reply.answer)
        self._work.messages.append(moved)
        if message.identity and case and known:
            key, asked = message.identity.key, message.identity.digest
            case.idempotency[key] = IdempotencyRecord(message.message_no, asked, state, reply.answer)
            self._work.idempotency.append(IdempotencyRow(message.message_no, case.case_no, *key, asked))

    def _note(self, case: Case, message: InboxMessage, what: What, content: bytes, refusal: Refusal | None = None) -> None:
        """Adds to the case's chain what became of a message; of a call also who made it."""
        said = noted_call(message, refusal) if self._contract.role == DECISIONS else None
        case.note(self._work, self._now, what, content, message_no=message.message_no, said=said)

    def _note_outcome(
        self, case: Case | None, message: InboxMessage, record: MessageRow | None, outcome: DecisionOutcome, refusal: Refusal | None = None
    ) -> None:
        """Notes of a message that came in by a call what was done at once, and takes a decision that is received into the chain."""
        if self._contract.role != DECISIONS or record is None:
            return
        self._work.decisions.append(decision_row(self._contract.name, case.case_no if case else None, message, outcome, refusal))
        if case and message.identity and outcome in RECEIVED:
            state = DecisionState.OPEN if outcome is DecisionOutcome.ORDERED else DecisionState.WITHOUT_PAYMENT
            case.received[message.identity.key] = ReceivedDecision(message.identity.key, message.message_no, state)


def _taken_over(decision: ReceivedDecision | None) -> IdempotencyRecord | None:
    """The record of a decision that is no message, since it was taken over with its case."""
    if decision is None or decision.digest is None:
        return None
    return IdempotencyRecord(decision.message_no, decision.digest, MessageState.ANSWERED, decision.answer)


def _outcome(event: Event) -> DecisionOutcome:
    if isinstance(event, Refused):
        return DecisionOutcome.REFUSED
    if isinstance(event, Unchanged) and event.dry_run:
        return DecisionOutcome.SIMULATED
    return DecisionOutcome.REPEATED if isinstance(event, Repeated) else DecisionOutcome.UNCHANGED
