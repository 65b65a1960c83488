"""Reads one case for an operator: everything that happened to it in order of time, what is accepted, what is pending, what waits."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct
from msgspec.structs import asdict

from kvitt.disbursement import payment_document
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.case_facts import (
    About,
    Act,
    ChainEntry,
    ContradictionOfCase,
    DeferredOfCase,
    MessageFacts,
    MessageOfCase,
    OrderFacts,
    OrderOfCase,
    PaymentOfCase,
    PublishedAnswer,
    PublishedFacts,
    ReceiptOfCase,
    acts_on,
    contradictions_of,
    lines_of,
    receipts_of,
)
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.holding import decode_all
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.states import What
from kvitt.disbursement.values import (
    Area,
    PaymentId,
    Scheme,
)
from kvitt.errors import CaseNotFound
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load

_SQL = load("history", "kvitt.disbursement")


class Happening(StrEnum):
    """Kinds of events of a case. At one moment they follow each other in this order."""

    RECEIVED = "received"
    ACTED = "acted"
    ACKNOWLEDGED = "acknowledged"
    CONTRADICTED = "contradicted"
    RESOLVED = "resolved"
    NOTED = "noted"
    SIMULATED = "simulated"
    ORDERED = "ordered"
    SENDING = "sending"
    SENT = "sent"
    PUBLISHED = "published"


class HistoryEntry(Struct, frozen=True):
    """One thing that happened, with the ids of what it is about; `text` says it in a few words, without personal data."""

    at: datetime
    what: Happening
    text: str
    message_no: int | None = None
    order_id: str | None = None
    receipt_no: int | None = None


class CaseHistory(Struct, frozen=True):
    """Everything about one case. `events` is all of it in order of time; `queued` are the messages in its queue.

    `deferred` is what has not been looked at yet, because somebody else has locked the case, or a row of it.
    """

    scheme: Scheme
    case_id: str
    person: str | None
    areas: tuple[Area, ...]
    orders_made: int
    open_orders: int
    messages: tuple[MessageOfCase, ...]
    orders: tuple[OrderOfCase, ...]
    receipts: tuple[ReceiptOfCase, ...]
    contradictions: tuple[ContradictionOfCase, ...]
    published: tuple[PublishedAnswer, ...]
    events: tuple[HistoryEntry, ...]
    accepted: tuple[PaymentOfCase, ...]
    pending: tuple[PaymentOfCase, ...]
    deferred: tuple[DeferredOfCase, ...]

    @property
    def queued(self) -> tuple[MessageOfCase, ...]:
        """The messages that wait behind an open order or a contradiction, in the order in which they will be handled."""
        return tuple(message for message in self.messages if message.state == "queued")


def history(conninfo: str, ports: Ports, scheme: Scheme, case_id: str) -> CaseHistory:
    """Reads one case in one snapshot. Raises CaseNotFound."""
    with connect(conninfo, application="kvitt history") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            return _read(cursor, ports.contracts, scheme, case_id)


def _read(cursor: psycopg.Cursor[Any], contracts: Contracts, scheme: Scheme, case_id: str) -> CaseHistory:
    head = fetch_one(cursor, _CaseInShort, _SQL.case_row, {"scheme": scheme.value, "case_id": case_id})
    if head is None:
        raise CaseNotFound(scheme.value, case_id)
    about = {"case_no": head.case_no, "order_id": None}
    messages = tuple(_message(contracts, each) for each in fetch(cursor, _Message, _SQL.messages, about, facts=MessageFacts))
    orders = _orders(cursor, about)
    receipts, contradictions = receipts_of(cursor, about), contradictions_of(cursor, about)
    published = _published(cursor, contracts, about)
    payments = [(each.state, _payment(each)) for each in fetch(cursor, _StoredVersion, _SQL.payments, about)]
    audit = fetch(cursor, ChainEntry, _SQL.audit, about)
    happened = (
        *_noted(audit),
        *_simulated(audit),
        *_acted(acts_on(cursor, about), orders),
        *_of_messages(messages),
        *_of_orders(orders),
        *_of_receipts(receipts),
        *_of_contradictions(contradictions, orders),
        *_of_published(published),
    )
    return CaseHistory(
        scheme=scheme,
        case_id=case_id,
        person=head.person,
        areas=tuple(Area(area) for area in head.areas),
        orders_made=head.orders_made,
        open_orders=head.open_orders,
        messages=messages,
        orders=orders,
        receipts=receipts,
        contradictions=contradictions,
        published=published,
        events=tuple(sorted(happened, key=lambda event: (event.at, _ORDER[event.what]))),
        accepted=tuple(each for state, each in payments if state == "accepted"),
        pending=tuple(each for state, each in payments if state == "pending"),
        deferred=tuple(fetch(cursor, DeferredOfCase, _SQL.deferred, {"scheme": scheme.value, "case_id": case_id})),
    )


class _CaseInShort(NamedTuple):
    case_no: int
    person: str | None
    areas: Sequence[str]
    orders_made: int
    open_orders: int


class _Message(NamedTuple):
    facts: MessageFacts
    answer: bytes | None


class _Published(NamedTuple):
    facts: PublishedFacts
    value: bytes
    topic: str


class _StoredVersion(NamedTuple):
    payment_id: PaymentId
    version: int
    state: str
    order_id: str
    document: bytes


def _message(contracts: Contracts, row: _Message) -> MessageOfCase:
    """A message with its last answer in the core's words."""
    answer = contracts.of[row.facts.source].in_short(row.answer) if row.answer else None
    return MessageOfCase(**asdict(row.facts), answer=answer)


def _orders(cursor: psycopg.Cursor[Any], about: About) -> tuple[OrderOfCase, ...]:
    by_order = {order_id: tuple(group) for order_id, group in groupby(lines_of(cursor, about), key=lambda line: line.order_id)}
    orders = fetch(cursor, OrderFacts, _SQL.orders, about, held_for=decode_all)
    return tuple(OrderOfCase(**asdict(each), lines=by_order.get(each.order_id, ())) for each in orders)


def _published(cursor: psycopg.Cursor[Any], contracts: Contracts, about: About) -> tuple[PublishedAnswer, ...]:
    """The answers that were published, in order; records that are none are left out."""
    arguments = {**about, "topics": [contract.answers_on for contract in contracts if contract.answers_on]}
    rows = fetch(cursor, _Published, _SQL.published, arguments, facts=PublishedFacts)
    answers = [(row, _answer(contracts, row)) for row in rows]
    return tuple(PublishedAnswer(**asdict(row.facts), answer=answer) for row, answer in answers if answer is not None)


def _answer(contracts: Contracts, row: _Published) -> Answer | None:
    contract = contracts.answering_on(row.topic)
    return contract.published_answer(row.value) if contract else None


def _payment(row: _StoredVersion) -> PaymentOfCase:
    return PaymentOfCase(row.payment_id, row.version, row.order_id, payment_document.decode(row.document))


_ORDER = {what: place for place, what in enumerate(Happening)}


_OF_SIMULATIONS: Mapping[str, str] = {What.SIMULATED: "asked for", What.SIMULATION_ENDED: "ended"}


def _noted(entries: Sequence[ChainEntry]) -> Iterator[HistoryEntry]:
    """The entries of the audit chain, in their own words."""
    for each in entries:
        yield HistoryEntry(each.at, Happening.NOTED, f"audit {each.seq}: {each.what}", each.message_no, each.order_id, each.receipt_no)


def _simulated(entries: Sequence[ChainEntry]) -> Iterator[HistoryEntry]:
    """The dry runs whose simulation was asked for, and ended: no order and no status mentions them, only the audit chain."""
    for each in entries:
        if each.what in _OF_SIMULATIONS:
            what = f"simulation of message {each.message_no} {_OF_SIMULATIONS[each.what]}"
            yield HistoryEntry(each.at, Happening.SIMULATED, what, each.message_no)


def _acted(acts: Sequence[Act], orders: Sequence[OrderOfCase]) -> Iterator[HistoryEntry]:
    """Returns what operators did to the orders of the case, who approved it, and why."""
    numbers = {each.order_id: each.number for each in orders}
    for each in acts:
        approved = f", approved by {each.approved_by}" if each.approved_by else ""
        what = f"{each.what} of order {numbers[each.order_id]} by {each.by}{approved}: {each.reason}"
        yield HistoryEntry(each.at, Happening.ACTED, what, None, each.order_id)


def _of_messages(messages: Sequence[MessageOfCase]) -> Iterator[HistoryEntry]:
    for each in messages:
        dry_run = ", dry run" if each.dry_run else ""
        where = f"{each.source}/{each.partition}/{each.position}"
        yield HistoryEntry(each.received_at, Happening.RECEIVED, f"message {each.message_no} from {where}{dry_run}", each.message_no)


def _of_orders(orders: Sequence[OrderOfCase]) -> Iterator[HistoryEntry]:
    for each in orders:
        what = f"order {each.number} to {each.area}"
        times = (
            (each.made_at, Happening.ORDERED, f"{what}, {len(each.lines)} line(s){', held' if each.held_for else ''}"),
            (each.sending_at, Happening.SENDING, f"{what} begun to send"),
            (each.sent_at, Happening.SENT, f"{what} with the rail"),
        )
        for at, happening, text in times:
            if at is not None:
                yield HistoryEntry(at, happening, text, each.message_no, each.order_id)


def _of_receipts(receipts: Sequence[ReceiptOfCase]) -> Iterator[HistoryEntry]:
    for each in receipts:
        text = f"receipt {each.receipt_no} with severity {each.severity or 'none'}: {each.outcome}"
        yield HistoryEntry(each.received_at, Happening.ACKNOWLEDGED, text, None, each.order_id, each.receipt_no)


def _of_contradictions(contradictions: Sequence[ContradictionOfCase], orders: Sequence[OrderOfCase]) -> Iterator[HistoryEntry]:
    numbers = {order.order_id: order.number for order in orders}
    for each in contradictions:
        what = f"order {numbers.get(each.order_id)} stands as {each.ours}, and the rail says {each.rails}"
        yield HistoryEntry(each.found_at, Happening.CONTRADICTED, what, None, each.order_id, each.receipt_no)
        if each.resolved_at is not None:
            who = f"{each.resolved_by} and {each.approved_by}: {each.reason}"
            what = f"the rail's word about order {numbers.get(each.order_id)}" if each.resolution == "adopted" else "what stands"
            yield HistoryEntry(
                each.resolved_at, Happening.RESOLVED, f"{each.resolution} {what}, by {who}", None, each.order_id, each.receipt_no
            )


def _of_published(published: Sequence[PublishedAnswer]) -> Iterator[HistoryEntry]:
    for each in published:
        yield HistoryEntry(each.made_at, Happening.PUBLISHED, f"published {each.answer.status.value}", each.message_no)
