"""Checks what belongs to no case: messages refused before their case mattered, receipts that answer no order, the operators' chain."""

import hashlib
import re
from collections import Counter
from typing import NamedTuple

from msgspec.structs import replace

from kvitt.disbursement.check.chain import Chain
from kvitt.disbursement.check.earlier import says_the_same
from kvitt.disbursement.check.made import MessageReplay, step_of
from kvitt.disbursement.check.published import match_published
from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.stored import (
    SQL,
    Reader,
    StoredPublished,
    StoredReceipt,
)
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.events import ReceiptArrived
from kvitt.disbursement.handle import Handler
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Rails, ReceiptOutcome
from kvitt.disbursement.receipts import RAIL_FAILED, read_answer
from kvitt.disbursement.rows import MessageRow
from kvitt.disbursement.states import MessageState
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import InvalidForm, Refusal
from kvitt.errors import UnreadableReceipt
from kvitt.kernel.audit import digest
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.operators import is_one_person, known_at
from kvitt.kernel.queries import load

_APPROVALS = load("approvals", "kvitt.kernel")
_SUBJECT = re.compile(r'"subject":"([0-9a-f-]{36})"')
_WITHOUT_ORDER = frozenset({ReceiptOutcome.UNMATCHED, ReceiptOutcome.UNREADABLE})


def check_messages(reader: Reader, found: Findings, ports: Ports) -> None:
    """Refuses again every message that has no case, and compares the answer and what was published."""
    after = 0
    while messages := reader.messages_without_case(after):
        published = reader.published_without_case(messages[0].message_no, messages[-1].message_no)
        decisions = reader.decisions_without_case(messages[0].message_no, messages[-1].message_no)
        found.looked_at("messages", len(messages))
        found.looked_at("records_published", sum(map(len, published.values())))
        for message in messages:
            try:
                made = _check_message(message, published.get(message.message_no, []), found, ports)
                if made.decisions != [each for number in (message.message_no,) if (each := decisions.get(number))]:
                    found.differs(Kind.MESSAGE, None, message.message_no, "is noted as a call otherwise than it came in")
            except Exception as error:  # noqa: BLE001 - what can not even be read again is a difference, and the check goes on
                found.differs(Kind.MESSAGE, None, message.message_no, f"can not be read again: {type(error).__name__}")
        after = messages[-1].message_no


def _check_message(stored: MessageRow, published: list[StoredPublished], found: Findings, ports: Ports) -> UnitOfWork:
    """Returns the rows that it makes."""
    if hashlib.sha256(stored.body).digest() != stored.digest:
        found.differs(Kind.MESSAGE, None, stored.message_no, "has another body than came in")
    replayed, work = MessageReplay(stored, ports.contracts), UnitOfWork()
    failure = replayed.failure()
    if replayed.parsed.case_key and not failure:
        found.differs(Kind.MESSAGE, None, stored.message_no, "has no case, though it can be read")
        return work
    _refuse_again(Handler(replayed.contract, ports.rails, work, stored.received_at), replayed, failure)
    replayed.step(step_of(work))
    early = any(each.early for each in published)
    answer = stored.answer if early and says_the_same(replayed.contract, replayed.answer, stored.answer) else replayed.answer
    if (stored.state, stored.answer, stored.answered_at) != (MessageState.ANSWERED, answer, stored.received_at):
        found.differs(Kind.MESSAGE, None, stored.message_no, "is not answered with its refusal")
    if failure:  # its reason stands in a header in kvitt's own words of that day
        work.outbox = [replace(row, headers=published[0].row.headers if published else row.headers) for row in work.outbox]
    match_published(ports.contracts, found, None, work.outbox, published)
    return work


def _refuse_again(handler: Handler, replayed: MessageReplay, failure: Refusal | None) -> None:
    content = failure or replayed.message.content
    assert isinstance(content, Refusal), "what can be read has a case"
    # A contract may have been set to leave it unanswered when it came in.
    if isinstance(content, InvalidForm) and replayed.stored.answer is None:
        handler.ignore(replayed.message, None)
    else:
        handler.refuse(None, replayed.message, replayed.stored, content, None if failure else replayed.parsed.dead)


def check_receipts(reader: Reader, found: Findings, rails: Rails) -> None:
    """Reads again every receipt that answers no order."""
    after = 0
    while receipts := reader.receipts_without_order(after):
        found.looked_at("receipts", len(receipts))
        for receipt in receipts:
            _check_receipt(receipt, found, rails)
        after = receipts[-1].receipt_no


def _check_receipt(stored: StoredReceipt, found: Findings, rails: Rails) -> None:
    if hashlib.sha256(stored.body).digest() != stored.digest:
        found.differs(Kind.RECEIPT, None, stored.receipt_no, "has another body than came in")
    if stored.outcome not in _WITHOUT_ORDER:
        found.differs(Kind.RECEIPT, None, stored.receipt_no, f"is {stored.outcome}, and names no order")
        return
    try:
        receipt = read_answer(rails.named(stored.rail), stored.body)[stored.place]
    except UnreadableReceipt as error:
        as_noted = stored.note == str(error) or RAIL_FAILED in stored.note
        if stored.outcome != ReceiptOutcome.UNREADABLE or not as_noted:
            found.differs(Kind.RECEIPT, None, stored.receipt_no, "can not be read, and is not noted as such")
        return
    words = receipt.raw_severity, receipt.code, receipt.text
    if stored.outcome == ReceiptOutcome.UNMATCHED and words != (stored.severity, stored.code, stored.note):
        found.differs(Kind.RECEIPT, None, stored.receipt_no, "is noted with other words than it has")


def check_copies(reader: Reader, found: Findings, contracts: Contracts) -> None:
    """Makes again every copy of a receipt that a contract published."""
    by_topic = {contract.copies_on: contract for contract in contracts if contract.copies_on}
    for topic, outbox_no, event, made_at, key, value, body in reader.walk(SQL.copies_of_receipts, topics=list(by_topic)):
        found.looked_at("records_published", 1)
        scheme = next(iter(by_topic[topic].sources.values()))
        made = [(each.key, each.value) for each in by_topic[topic].announce(ReceiptArrived(scheme, event, bytes(body)), made_at)]
        if made != [(key, bytes(value))]:
            found.differs(Kind.PUBLISHED, None, outbox_no, "copies a receipt otherwise than it came")


def released_orders(reader: Reader) -> frozenset[str]:
    """The orders that operators have let go though they were held."""
    return frozenset(order_id for noted in fetch_values(reader.cursor, SQL.releases) for order_id in _SUBJECT.findall(noted))


def resent_orders(reader: Reader) -> Counter[str]:
    """How often operators have had each order sent once more."""
    return Counter(order_id for noted in fetch_values(reader.cursor, SQL.resends) for order_id in _SUBJECT.findall(noted))


class _EndOfOperators(NamedTuple):
    audit_seq: int
    last_event_hash: bytes


class _ConfirmedApproval(NamedTuple):
    approval_no: int
    asked_by: str
    asked_issuer: str | None
    asked_name: str | None
    decided_by: str
    decided_issuer: str | None
    decided_name: str | None


def check_operators(reader: Reader, found: Findings) -> None:
    """Follows the chain of operator actions to its end."""
    chain = Chain(0, found)
    while entries := reader.operators_entries(chain.seq):
        found.looked_at("audit_entries", len(entries))
        for entry in entries:
            chain.follow(entry)
            if digest((entry.note or "").encode()) != entry.digest:
                found.differs(Kind.ENTRY, 0, entry.seq, "is not noted in the words that were digested")
    for end in fetch(reader.cursor, _EndOfOperators, SQL.end_of_operators):
        chain.end(end.audit_seq, end.last_event_hash)


def check_approvals(reader: Reader, found: Findings) -> None:
    """Each approval that was confirmed was asked for by another person than the one who confirmed it."""
    for each in fetch(reader.cursor, _ConfirmedApproval, _APPROVALS.confirmed_by):
        found.looked_at("approvals", 1)
        asked_by = each.asked_by, known_at(each.asked_issuer, each.asked_name)
        if is_one_person(asked_by, (each.decided_by, known_at(each.decided_issuer, each.decided_name))):
            found.differs(Kind.APPROVAL, None, f"approval {each.approval_no}", "was confirmed by the person who asked for it")
