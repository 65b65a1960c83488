"""Payouts, each made again from its events: their chain, their bytes, and what the payout is worth (design §13; payouts §5)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.stored import Reader
from kvitt.kernel.audit import event_link
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.payouts.event import encode_event
from kvitt.payouts.model import PayoutRecord
from kvitt.payouts.repository import records
from kvitt.payouts.rules import (
    PAYOUT_ARCS,
    PayoutStatus,
    is_plan_of,
    plan_id_of,
    reversal_plan_id_of,
    worth_of,
)

_SQL = load("payouts_check", "kvitt.payouts")
_SPAN = 500

ANYTHING = _SQL.any_payouts
STATEMENTS = (
    (Kind.PAYOUT, _SQL.plans_not_as_payouts),
    (Kind.PAYOUT, _SQL.attempts_without_reason),
    (Kind.PAYOUT, _SQL.plans_of_two_payouts),
    (Kind.PAYOUT, _SQL.postings_not_as_cash_flows),
    (Kind.PAYOUT, _SQL.saga_steps_not_as_payouts),
    (Kind.ORPHAN, _SQL.rows_of_no_payout),
    (Kind.PUBLISHED, _SQL.events_not_published),
    (Kind.PUBLISHED, _SQL.published_of_no_event),
    (Kind.PUBLISHED, _SQL.published_out_of_order),
    (Kind.PAYOUT, _SQL.movements_of_other_currencies),
    (Kind.PAYOUT, _SQL.accounts_of_other_currencies),
    (Kind.PAYOUT, _SQL.plans_of_other_currencies),
    (Kind.PAYOUT, _SQL.payouts_going_back),
    (Kind.PAYOUT, _SQL.payouts_beside_events),
    (Kind.PAYOUT, _SQL.payouts_before_steps),
    *((Kind.VIEW, statement) for statement in load("views_check", "kvitt.payouts")),
)
"""Kinds of differences that only all rows together can show, with their statements."""


class _NextPayout(Struct, frozen=True):
    payout_id: str


class _CheckedEvent(Struct, frozen=True):
    payout_id: str
    sequence: int
    at: datetime
    status: str
    body: bytes
    hash: bytes
    actor: str | None


def check_payouts(reader: Reader, found: Findings) -> None:
    """Goes through all payouts, a span at a time, and compares each with what its events and its cash flow give."""
    for payout_ids in _spans(reader):
        events: dict[str, list[_CheckedEvent]] = {payout_id: [] for payout_id in payout_ids}
        for event in fetch(reader.cursor.connection, _CheckedEvent, _SQL.events_of, [payout_ids]):
            events[event.payout_id].append(event)
        found.looked_at("payouts", len(payout_ids))
        found.looked_at("payout_events", sum(map(len, events.values())))
        for payout_id, record in _records(reader, payout_ids).items():
            try:
                wrong = _wrong(record, events[payout_id]) if record else ["can not be read"]
            except Exception as error:  # noqa: BLE001 - what can not even be made again is a difference, and the check goes on
                wrong = [f"can not be made again: {type(error).__name__}"]
            for text in wrong:
                found.differs(Kind.PAYOUT, None, payout_id, text)


def _spans(reader: Reader) -> Iterator[list[str]]:
    after: str | None = None
    while rows := fetch(reader.cursor.connection, _NextPayout, _SQL.payouts_after, {"after": after, "limit": _SPAN}):
        payout_ids = [row.payout_id for row in rows]
        yield payout_ids
        after = payout_ids[-1]


def _records(reader: Reader, payout_ids: Sequence[str]) -> dict[str, PayoutRecord | None]:
    """The payouts by id; None for one whose rows hold what no payout has. Such a one is looked for only when a span has it."""
    try:
        return dict(records(reader.cursor.connection, payout_ids))
    except ValueError:
        return {payout_id: _alone(reader, payout_id) for payout_id in payout_ids}


def _alone(reader: Reader, payout_id: str) -> PayoutRecord | None:
    try:
        return records(reader.cursor.connection, [payout_id])[payout_id]
    except ValueError:
        return None


def _wrong(record: PayoutRecord, events: Sequence[_CheckedEvent]) -> Iterator[str] | list[str]:
    payout, last = record.payout, events[-1] if events else None
    if last is None or [event.sequence for event in events] != list(range(payout.sequence + 1)):
        return [f"has not one event for each number up to {payout.sequence}"]
    return _differing(record, events, last)


def _misnamed(record: PayoutRecord) -> Iterator[str]:
    payout_id, reversal = record.payout.payout_id, record.reversal_plan_id
    if not is_plan_of(record.plan_id, payout_id, plan_id_of):
        yield f"has the plan {record.plan_id}, which no attempt of it has"
    if reversal and not is_plan_of(reversal, payout_id, reversal_plan_id_of):
        yield f"has the reversal {reversal}, which no attempt of it has"


def _differing(record: PayoutRecord, events: Sequence[_CheckedEvent], last: _CheckedEvent) -> Iterator[str]:
    payout, last_hash = record.payout, b""
    if (payout.amount, payout.fee) != worth_of(payout.cash_flow):
        yield "is not worth what its cash flow makes"
    yield from _misnamed(record)
    if events[0].status != PayoutStatus.UNPAID or last.status != payout.status:
        yield "has another status than its first and last events give"
    for before, event in pairwise(events):
        if event.status not in PAYOUT_ARCS[PayoutStatus(before.status)]:
            yield f"went from {before.status} to {event.status}"
    for event in events:
        status = PayoutStatus(event.status)
        details = payout.cancel_details if status is PayoutStatus.CANCELLED else None
        snapshot = replace(payout, sequence=event.sequence, status=status, cancel_details=details)
        if encode_event(snapshot, event.at) != event.body:
            yield f"has an event {event.sequence} with another content"
        last_hash = event_link(last_hash, payout.payout_id, event.sequence, event.at, event.body, actor=event.actor)
        if last_hash != event.hash:
            yield f"has an event {event.sequence} with another hash than its content and the one before give"
        last_hash = event.hash
    if last_hash != record.last_event_hash:
        yield "names another last event than there is"
