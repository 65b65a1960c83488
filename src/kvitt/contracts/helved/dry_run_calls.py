"""Dry runs of the case streams by calls: read and derived as on the topics, answered to who asks (iverksetting §4.4, helved §2.10).

Whatever such a message says, it is a dry run. Its key is the caller's `Transaction-ID`, by which a decision may name what an approver saw.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.contract import Helved
from kvitt.contracts.helved.dry_run import answer as dry_run_answer
from kvitt.contracts.helved.dry_run import encode_no_change
from kvitt.contracts.helved.outputs import decode_status, encode_status
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.contract import DECISIONS, Contract
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.events import Event, Refused, Reply, SimulationEnded, Unchanged
from kvitt.disbursement.inbox import InboxMessage, Incoming, ParsedRecord, ReplyTo, Skipped
from kvitt.disbursement.instructions import PaymentInstructions
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.simulation import Simulation, of_case
from kvitt.disbursement.simulation_requests import tells_of_open_order
from kvitt.disbursement.values import Order, Refusal, Scheme
from kvitt.formats.topics import TopicTerms

SOURCES: Final[Mapping[Scheme, str]] = {scheme: f"rest.dryrun.{scheme}" for scheme in helved_topics.SCHEME_OF_INPUT.values()}
"""The name under which the dry runs of a scheme are stored that came by calls."""
_CONFLICT: Final = 409
_FIGURES: Final = b'{"@type":'
_NO_CHANGE: Final = b'{"@type":"info"'
"""So begins an answer that is no status; and one which says that nothing would change."""


class HelvedCalls(Contract):
    """Dry runs of the same schemes, for callers who wait for the answer."""

    name = Helved.name
    sources: Mapping[str, Scheme] = {source: scheme for scheme, source in SOURCES.items()}
    topics: Sequence[TopicTerms] = ()
    answers_on = None
    role = DECISIONS
    simulates_for: Collection[str] = ("utbetalinger",)

    def __init__(self, streams: Helved) -> None:
        """`streams` reads and derives as on the topics."""
        self._streams = streams

    def read(self, record: Incoming) -> ParsedRecord:
        """As the scheme's stream reads it."""
        scheme = self.sources[record.source]
        found = self._streams.read(replace(record, source=helved_topics.primary_input(scheme)))
        if isinstance(found, Skipped):
            return ParsedRecord(record, scheme, Refusal(400, found.reason, BASE), dry_run=True)
        content = found.content
        if isinstance(content, PaymentInstructions):
            content = replace(content, decision=replace(content.decision, dry_run=True))
        return replace(found, incoming=record, content=content, dry_run=True, dead=None)

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The orders that a message on the stream would lead to."""
        return self._streams.derive(message, case, at)

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - the day of an answer is the event's
        """The answer to keep: the figures in the scheme's form, or a status that says why there are none."""
        match event:
            case Refused(refusal=refusal):
                return _failed(refusal)
            case Unchanged():
                return Reply(answer=encode_no_change(message.scheme))
            case SimulationEnded(outcome=outcome, case_id=case_id, day=day):
                own = of_case(outcome, message.scheme, case_id)[0] if isinstance(outcome, Simulation) else outcome
                said = dry_run_answer(message.scheme, own, day)
                return _failed(said) if isinstance(said, Refusal) else Reply(answer=said)
        return Reply()

    def in_short(self, answer: bytes) -> Answer:
        """A StatusReply; figures are a success."""
        return Answer(Status.OK, dry_run=True) if answer.startswith(_FIGURES) else decode_status(answer)


def http_status(answer: bytes) -> int:
    """The status with which an answer is said: that of its error, and 302 where nothing would change."""
    if not answer.startswith(_FIGURES):
        error = decode_status(answer).error
        return error.status if error else 200
    return 302 if answer.startswith(_NO_CHANGE) else 200


def may_pass(answer: bytes) -> bool:
    """Whether the same dry run may be answered otherwise by and by: its case has an order without a receipt, or is contradicted."""
    error = None if answer.startswith(_FIGURES) else decode_status(answer).error
    return error is not None and error.status == _CONFLICT and tells_of_open_order(error.text)


def _failed(refusal: Refusal) -> Reply:
    return Reply(answer=encode_status(Answer(Status.FAILED, None, refusal, dry_run=True)))
