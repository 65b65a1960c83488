"""The contract of the rapid: needs with lines of their senders' own, answered where they stand (rapid §2)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Raw

from kvitt.contracts.rapid.derive import forwarded_order
from kvitt.contracts.rapid.needs import Need, digest_of, reconciliation_key
from kvitt.contracts.rapid.reply import (
    NOT_MADE,
    RECEIVED,
    TECHNICAL,
    copy_of,
    reconciled,
    reply_to,
)
from kvitt.contracts.rapid.wire import need as needs
from kvitt.contracts.rapid.wire import simulation, simulation_question, solutions
from kvitt.contracts.rapid.wire.need import InvalidNeed
from kvitt.contracts.rapid.wire.simulation_question import InvalidQuestion
from kvitt.contracts.rapid.wire.solutions import SolutionStatus
from kvitt.contracts.rapid.wire.trigger import read_trigger
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.contract import Contract, WhenOrderIsOpen
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.events import (
    Announcement,
    Event,
    OutboxRecord,
    ReceiptArrived,
    ReconciliationGood,
    Reply,
)
from kvitt.disbursement.inbox import (
    FAILURE,
    IdempotencyRecord,
    Identity,
    InboxMessage,
    Incoming,
    Interpreted,
    ParsedRecord,
    ReconciliationTrigger,
    ReplyTo,
    Skipped,
)
from kvitt.disbursement.reconciliation import KeyForm, ReconciliationForm
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.states import MessageState
from kvitt.disbursement.values import (
    InvalidForm,
    Order,
    Refusal,
    Scheme,
)
from kvitt.errors import Undecodable
from kvitt.formats import json_reading
from kvitt.formats.topics import RAPID, Keeping, TopicTerms
from kvitt.kernel.clock import oslo

_ANY_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_INVALID: Final = f"{NOT_MADE}, behovet er ugyldig: "
_AGAIN = frozenset({SolutionStatus.REJECTED, SolutionStatus.FAILED})
_USED_OTHERWISE: Final = Refusal(409, f"{NOT_MADE}: utbetalingId og fagsystemId er brukt før, med et annet innhold", BASE)
_FOR_OTHERS, _TOMBSTONE = "the record is for others", "a tombstone says nothing about a case"


class Rapid(Contract):
    """Needs for sykepenger."""

    name = "rapid"
    sources: Mapping[str, Scheme] = {RAPID: Scheme.SYKEPENGER}
    topics = (TopicTerms(RAPID, Keeping.OWNERS),)
    answers_on = RAPID
    role = "rapid"
    copies_on = RAPID
    reconciliation = ReconciliationForm(
        "rapid", KeyForm.NUMBER, component="SP", user="SPENN", repeats_late=True, namespaced=False, empty_sums=False
    )
    forwards = True
    replies_from_body = True
    asks_again = simulation.AGAIN

    def __init__(self, *, answer_invalid: bool = True, hears_strays: bool = False) -> None:
        """`answer_invalid` False: needs that break rules are stored and hear nothing, as of old (design §12).

        `hears_strays`: the rapid is ours, so it also hears of receipts of which nobody can say whose they are.
        """
        self.answers_invalid = answer_invalid
        self.copies_of = (Scheme.SYKEPENGER, None) if hears_strays else (Scheme.SYKEPENGER,)

    def read(self, record: Incoming) -> Interpreted:
        """A need of ours, or an event that asks for reconciliation; all else is for others, and what was to be one is kept if broken.

        One that is nested too deep, also where nobody reads, is kept: without a limit of our own it would depend on the caller's stack
        whether a stored need can be read again. A need is answered where it stands, key or none.
        """
        if record.body is None:
            return Skipped(record, _TOMBSTONE, kept=False, unaddressed=True)
        try:
            found = needs.read(record.body, record.edition)
            asked = simulation_question.read_need(record.body) if found is None else None
            day = read_trigger(record.body) if found is None and asked is None else None
            if found is None and asked is None and day is None:
                return Skipped(record, _FOR_OTHERS, kept=False)
            json_reading.read(_ANY_OBJECT, record.body)
        except Undecodable as broken:
            return Skipped(record, str(broken), kept=True)
        if day is not None:
            return ReconciliationTrigger(record, day)
        if asked is not None:
            return _to_simulate(record, asked)
        assert found is not None, "it is one or the other"
        if isinstance(found, InvalidNeed):
            return ParsedRecord(record, Scheme.SYKEPENGER, InvalidForm(400, _INVALID + "; ".join(found.problems), BASE))
        identity = Identity((found.person, found.payment_id), digest_of(found)) if found.lines else None
        return ParsedRecord(record, Scheme.SYKEPENGER, found, case_key=(Scheme.SYKEPENGER, found.case_id), identity=identity)

    def when_order_is_open(self, message: InboxMessage) -> WhenOrderIsOpen | Refusal:
        """A need waits, unless it asks for nothing."""
        assert isinstance(message.content, Need), "refusals wait for nothing"
        return WhenOrderIsOpen.QUEUE if message.content.lines else WhenOrderIsOpen.HANDLE

    def refused_reuse(self, message: InboxMessage, record: IdempotencyRecord) -> Refusal:  # noqa: ARG002 - it says which ids they are
        """Another need under the ids of one that was made."""
        return _USED_OTHERWISE

    def may_come_again(self, record: IdempotencyRecord) -> bool:
        """Only after the rail, or an operator, said no for good."""
        return record.state is MessageState.ANSWERED and solutions.decode(record.answer or RECEIVED).status in _AGAIN

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The one order of a need with lines."""
        need = message.content
        assert isinstance(need, Need), "a refusal leads to nothing"
        if not need.lines:
            return ()
        return (forwarded_order(need, case.orders_made + 1, reconciliation_key(at, message.message_no), oslo(at)),)

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:
        """Solutions on the need, and the events of the rapid (rapid §2.3–§2.6)."""
        return reply_to(event, message, at)

    def announce(self, event: Announcement, at: datetime) -> Sequence[OutboxRecord]:
        """Copies of receipts: of our own orders, and of those that nobody can place if the rapid is ours; and what was reconciled."""
        if isinstance(event, ReconciliationGood):
            return (reconciled(event, at),)
        return (copy_of(event, at),) if isinstance(event, ReceiptArrived) else ()

    def in_short(self, answer: bytes) -> Answer:
        """A solution as a status."""
        said = simulation.decode(answer)
        return simulation.in_short(said) if said else solutions.in_short(solutions.decode(answer))

    def failure_in(self, answer: bytes) -> Refusal | None:
        """Answered as a technical fault."""
        if said := simulation.decode(answer):
            return simulation.failure_in(said)
        solution = solutions.decode(answer)
        failed = solution.status is SolutionStatus.FAILED and solution.text.startswith(TECHNICAL + FAILURE)
        return Refusal(500, solution.text.removeprefix(TECHNICAL), BASE) if failed else None

    def published_answer(self, value: bytes) -> Answer | None:
        """The solution in a message of the rapid; None for an event."""
        solution = solutions.of_message(value)
        return None if solution is None else self.in_short(solution)


def _to_simulate(record: Incoming, asked: Need | InvalidQuestion) -> ParsedRecord:
    """A need that asks what would be paid. What is wrong with it is always answered: nobody shall wait for nothing (rapid §5.1)."""
    if isinstance(asked, InvalidQuestion):
        return ParsedRecord(record, Scheme.SYKEPENGER, Refusal(400, asked.text, BASE), dry_run=True)
    return ParsedRecord(record, Scheme.SYKEPENGER, asked, dry_run=True, case_key=(Scheme.SYKEPENGER, asked.case_id))
