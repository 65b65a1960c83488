"""The contract of the case streams: thick messages per scheme, one status topic, orders and payments on topics of their own (helved §1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.outputs import decode_status, encode_key, encode_payment, encode_payments
from kvitt.contracts.helved.read import decode, flawed_ids, instructions_of
from kvitt.contracts.helved.reply import EVENTS, reply_to
from kvitt.disbursement.answers import Answer, Details
from kvitt.disbursement.catalogue import SCHEMES
from kvitt.disbursement.contract import Contract
from kvitt.disbursement.derive.micro_chained import CaseState, derive
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.events import (
    Announcement,
    CaseListed,
    Event,
    OutboxRecord,
    PaymentsMoved,
    Reply,
)
from kvitt.disbursement.inbox import (
    InboxMessage,
    Incoming,
    ParsedRecord,
    ReplyTo,
    Skipped,
)
from kvitt.disbursement.instructions import PaymentInstructions, broken_case_id
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.reconciliation import KeyForm, ReconciliationForm
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import CaseId, Order, Payment, PaymentId, Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.topics import decode_headers, encode_headers
from kvitt.kernel.clock import oslo
from kvitt.kernel.identifiers import named_uuid

SIMULATION_HEADER: Final = "simulering"
_NO_KEY = "the record has no key, so its sender can not be answered"
_BAD_KEY = "the key is not UTF-8 text, so its sender can not be answered"
_TOMBSTONE = "a tombstone says nothing about a case"


class Helved(Contract):
    """The case streams of six schemes."""

    name = "helved"
    sources: Mapping[str, Scheme] = helved_topics.SCHEME_OF_INPUT
    answers_on = helved_topics.STATUSES
    topics = helved_topics.TOPICS
    outputs = helved_topics.OUTPUTS
    lists_on = helved_topics.CASES
    reconciliation = ReconciliationForm("helved", KeyForm.DAY)

    def __init__(self, rails: Rails) -> None:
        """`rails` are asked for an order with its receipt, and for the question what it would do."""
        self._rails = rails

    def read(self, record: Incoming) -> ParsedRecord | Skipped:
        """Decodes a record that can be answered; nothing that a sender may have written raises."""
        if record.body is None:
            return Skipped(record, _TOMBSTONE, kept=False, unaddressed=True)
        key = _text(record.key)
        if not key:
            return Skipped(record, _NO_KEY if key is not None or record.key is None else _BAD_KEY, kept=True, unaddressed=True)
        scheme = self.sources[record.source]
        try:
            message = decode(scheme, record.body, record.edition)
        except Undecodable as broken:
            return ParsedRecord(record, scheme, unreadable(record.source), dead=str(broken))
        dry_run = message.header.dry_run
        if record.edition >= Edition.PLAIN_IDS and (flawed := flawed_ids(message)):
            return ParsedRecord(record, scheme, flawed, dry_run)
        instructions = instructions_of(message, key)
        if isinstance(instructions, Refusal):
            return ParsedRecord(record, scheme, instructions, dry_run)
        if broken_id := broken_case_id(instructions.decision.case_id):
            return ParsedRecord(record, scheme, broken_id, dry_run)
        chosen = tuple([each.payment_id for each in instructions.payments]) if SCHEMES[scheme].sender_chooses_ids else ()
        return ParsedRecord(record, scheme, instructions, dry_run, (scheme, instructions.decision.case_id), chosen_ids=chosen)

    def named_simulation(self, message: InboxMessage) -> bytes | None:
        """The header `simulering` has the key of the dry run."""
        if not message.headers or SIMULATION_HEADER.encode() not in message.headers.lower():
            return None
        found = [value for name, value in decode_headers(message.headers) if name.casefold() == SIMULATION_HEADER]
        return found[-1].encode(errors="surrogatepass") if found and found[-1] else None

    def replays_on(self, source: str) -> str:
        """The scheme's internal topic, which is ours to write to."""
        return helved_topics.INTERNAL_INPUTS[self.sources[source]]

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """Micro-chained orders, one per area (helved §3.4)."""
        assert isinstance(message.content, PaymentInstructions), "a refusal leads to nothing"
        return derive(message.content, case, oslo(at))

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - nothing that is published has the time in it
        """Statuses, orders and payments (helved §1, §3.6)."""
        return reply_to(event, message, self._rails)

    def announce(self, event: Announcement, at: datetime) -> Sequence[OutboxRecord]:  # noqa: ARG002 - as above
        """The payments of cases, also of those that come from another contract."""
        if isinstance(event, PaymentsMoved):
            return _payments_moved(event)
        return (_case_list(event),) if isinstance(event, CaseListed) else ()

    def in_short(self, answer: bytes) -> Answer:
        """A StatusReply."""
        return decode_status(answer)

    def same_answer(self, one: bytes, other: bytes) -> bool:
        """Once an answer over several areas did not say which of them are paid, and some texts were others."""
        try:
            return _plain(one) == _plain(other)
        except Undecodable:
            return False

    def import_form(self, payment: Payment) -> bytes:
        """As it stood on the state topic (helved §2.7)."""
        return encode_payment(payment)


def _case_list(event: CaseListed) -> OutboxRecord:
    """The ids of a case's living payments, under the case's own key (helved §1.2)."""
    key = encode_key(CaseId(event.case_id), event.scheme)
    value = encode_payments([PaymentId(payment_id) for payment_id in event.payment_ids])
    name = f"{event.scheme}\0{event.case_id}\0list\0{event.message_no}\0{','.join(event.payment_ids)}\0{event.by}"
    return OutboxRecord(helved_topics.CASES, key, value, encode_headers([("fagsystem", event.scheme.value)]), named_uuid(EVENTS, name))


def _payments_moved(event: PaymentsMoved) -> tuple[OutboxRecord, ...]:
    """Payments that come from another contract, each with a header `migrated`, and the list of their case (helved §1.2)."""
    by = f"moved {event.version}"
    listed = _case_list(CaseListed(event.scheme, event.case_id, event.payment_ids, 0, by))
    return (*(_moved_here(event, each, by) for each in event.payments), replace(listed, payment=(event.case_no, None, None)))


def _moved_here(event: PaymentsMoved, payment: Payment, by: str) -> OutboxRecord:
    headers = encode_headers([("original-key", payment.original_key), ("fagsystem", event.scheme.value), ("migrated", "true")])
    record = named_uuid(EVENTS, f"{event.scheme}\0{event.case_id}\0payment {payment.payment_id}\0{by}")
    named = (event.case_no, payment.payment_id, event.version)
    return OutboxRecord(helved_topics.PAYMENTS, payment.payment_id.encode(), encode_payment(payment), headers, record, payment=named)


def _text(key: bytes | None) -> str | None:
    """A key as text; None for what is none, or could not be stored as one."""
    if key is None or b"\0" in key:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def unreadable(topic: str) -> Refusal:
    """Returns what the sender of an undecodable message hears, to the letter (helved §3.8)."""
    text = f"DeserialiseringFeiletException: Feil ved deserialisering av melding fra {helved_topics.named_input(topic)}"
    return Refusal(400, text, BASE)


def _plain(answer: bytes) -> Answer:
    read = decode_status(answer)
    lines = tuple(replace(line, area=None, status=None) for line in read.details.lines) if read.details else ()
    error = replace(read.error, text="", doc="") if read.error else None
    return replace(read, details=Details(None, lines), error=error)
