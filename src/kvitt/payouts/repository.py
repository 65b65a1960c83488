"""Payouts as they are stored: locked and read many at once, and written set by set with their events (design §1).

Each change is a row, an event linked to the one before, and a record in the outbox.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from msgspec import Struct

from kvitt.errors import PayoutNotFound
from kvitt.formats.topics import PAYOUT_EVENTS
from kvitt.kernel.actor import Actor, encode
from kvitt.kernel.audit import event_link
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import Source, fetch, fetch_later
from kvitt.kernel.money import Minor
from kvitt.kernel.outbox import OutboxRow
from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row, write_all
from kvitt.payouts.event import encode_event
from kvitt.payouts.model import Keeper, Payout, PayoutCursor, PayoutEvent, PayoutRecord
from kvitt.payouts.rules import AccountType, CashFlowPosting, PayoutStatus, is_payout_id, payout_of_plan

SQL: Final = load("payouts", "kvitt.payouts")


class NotAsItWas(Exception):
    """A payout was not as this transaction had read it under its lock; nothing of the transaction is done."""


class _StoredPayout(Struct, frozen=True):
    payout_id: str
    sequence: int
    created_at: datetime
    party_id: str
    shop_id: str
    status: str
    cancel_details: str | None
    payout_tool_id: str
    amount: Minor
    fee: Minor
    currency: str
    ledger: str
    plan_id: str
    reversal_plan_id: str | None
    republished: int
    last_event_hash: bytes
    last_at: datetime

    def record(self, cash_flow: tuple[CashFlowPosting, ...]) -> PayoutRecord:
        """Raises ValueError for what no payout has."""
        payout = Payout(
            payout_id=self.payout_id,
            sequence=self.sequence,
            created_at=self.created_at,
            party_id=self.party_id,
            shop_id=self.shop_id,
            status=PayoutStatus(self.status),
            cancel_details=self.cancel_details,
            cash_flow=cash_flow,
            payout_tool_id=self.payout_tool_id,
            amount=self.amount,
            fee=self.fee,
            currency=self.currency,
        )
        return PayoutRecord(
            payout=payout,
            keeper=Keeper(self.ledger),
            plan_id=self.plan_id,
            reversal_plan_id=self.reversal_plan_id,
            republished=self.republished,
            last_event_hash=self.last_event_hash,
            last_at=self.last_at,
        )


class _StoredMovement(Struct, frozen=True):
    payout_id: str
    source_type: str
    source: int
    target_type: str
    target: int
    amount: Minor
    currency: str
    details: str | None

    def posting(self) -> CashFlowPosting:
        """Raises ValueError for an account of a type that there is not."""
        return CashFlowPosting(
            source_type=AccountType(self.source_type),
            source=self.source,
            target_type=AccountType(self.target_type),
            target=self.target,
            amount=self.amount,
            currency=self.currency,
            details=self.details,
        )


class _StoredEvent(Struct, frozen=True):
    payout_id: str
    sequence: int
    at: datetime
    status: str
    body: bytes


class _PayoutId(Struct, frozen=True):
    payout_id: str


class _PlanId(Struct, frozen=True):
    plan_id: str


class PayoutRow(Row, frozen=True):
    """A new payout."""

    statement = SQL.add_payouts
    joins = True
    payout_id: str
    sequence: int
    created_at: datetime
    party_id: str
    shop_id: str
    status: str
    payout_tool_id: str
    amount: Minor
    fee: Minor
    currency: str
    ledger: str
    plan_id: str
    last_event_hash: bytes
    last_at: datetime


class MovementRow(Row, frozen=True):
    """A movement of a new payout's cash flow."""

    statement = SQL.add_cash_flow
    joins = True
    payout_id: str
    position: int
    source_type: str
    source: int
    target_type: str
    target: int
    amount: Minor
    currency: str
    details: str | None


class PayoutStep(Row, frozen=True):
    """A payout that has come to another status; `reversal_plan_id` None leaves the one that it has."""

    statement = SQL.step_payouts
    payout_id: str
    sequence: int
    status: str
    cancel_details: str | None
    reversal_plan_id: str | None
    last_event_hash: bytes
    last_at: datetime


class EventRow(Row, frozen=True):
    """The event of a change, with the hash that links it to the event before, and who asked for the change."""

    statement = SQL.add_events
    joins = True
    payout_id: str
    sequence: int
    at: datetime
    status: str
    body: bytes
    hash: bytes
    actor: str | None


def lock(source: Source, payout_ids: Collection[str]) -> None:
    """Waits until nobody else makes or changes payouts under these ids, whether they exist or not, and keeps everybody out."""
    source.execute(SQL.lock_payouts, [sorted({_lock_key(each) for each in payout_ids})], binary=True)


def _lock_key(payout_id: str) -> int:
    """Sixty-four bits of a hash: two ids with the same one only wait for each other."""
    return int.from_bytes(hashlib.blake2b(payout_id.encode(), digest_size=8, person=b"payout").digest(), "big", signed=True)


def records(connection: Connection, payout_ids: Collection[str]) -> dict[str, PayoutRecord]:
    """Those of the payouts that exist, by id; who has locked them may change them. Raises ValueError for rows that no payout has."""
    with connection.pipeline():
        found = records_later(connection, payout_ids)
    return found()


def records_later(connection: Connection, payout_ids: Collection[str]) -> Callable[[], dict[str, PayoutRecord]]:
    """Asks for payouts, in a pipeline without waiting for them, and returns what takes them in as `records`."""
    wanted = list(dict.fromkeys(payout_ids))
    stored = fetch_later(connection, _StoredPayout, SQL.payouts, [wanted])
    moved = fetch_later(connection, _StoredMovement, SQL.cash_flows, [wanted])

    def taken_in() -> dict[str, PayoutRecord]:
        flows: dict[str, list[CashFlowPosting]] = {}
        for row in moved():
            flows.setdefault(row.payout_id, []).append(row.posting())
        return {row.payout_id: row.record(tuple(flows.get(row.payout_id, ()))) for row in stored()}

    return taken_in


def events(connection: Connection, payout_ids: Collection[str]) -> dict[str, list[PayoutEvent]]:
    """The events of payouts, by id, each payout's in order."""
    found: dict[str, list[PayoutEvent]] = {payout_id: [] for payout_id in payout_ids}
    for row in fetch(connection, _StoredEvent, SQL.events, [list(found)]):
        found[row.payout_id].append(PayoutEvent(row.sequence, row.at, PayoutStatus(row.status), row.body))
    return found


def reserved_plans(connection: Connection, plan_ids: Collection[str]) -> dict[str, str]:
    """Those of some plans that are, or could become, those of payouts. Plans that others held under such names before the names were kept
    for payouts can still be ended by them.
    """
    named = {plan_id: payout_id for plan_id in plan_ids if (payout_id := payout_of_plan(plan_id)) is not None}
    if not named:
        return {}
    strangers = fetch(connection, _PlanId, SQL.plans_of_strangers, [list(named), list(named.values())])
    return dict.fromkeys(named.keys() - {row.plan_id for row in strangers}, "payouts")


class PayoutUnitOfWork:
    """Gathers what one transaction changes of payouts, and writes it set by set.

    The moment of an event is the clock's, `now`, which is read under the locks, or the payout's last one, or that of what was done in
    the ledger for it (`done_at`), whichever is latest.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._payouts: list[PayoutRow] = []
        self._movements: list[MovementRow] = []
        self._steps: list[PayoutStep] = []
        self._events: list[EventRow] = []
        self._outbox: list[OutboxRow] = []

    def created(self, payout: Payout, keeper: Keeper, plan_id: str, actor: Actor | None, *done_at: datetime) -> None:
        """A payout that was not there before, and who asked for it; its plan is held."""
        at = max(self._now, payout.created_at, *done_at)
        self._payouts.append(
            PayoutRow(
                payout_id=payout.payout_id,
                sequence=payout.sequence,
                created_at=payout.created_at,
                party_id=payout.party_id,
                shop_id=payout.shop_id,
                status=payout.status.value,
                payout_tool_id=payout.payout_tool_id,
                amount=payout.amount,
                fee=payout.fee,
                currency=payout.currency,
                ledger=keeper.value,
                plan_id=plan_id,
                last_event_hash=self._event(b"", payout, actor, at),
                last_at=at,
            )
        )
        self._movements += [_movement(payout.payout_id, position, each) for position, each in enumerate(payout.cash_flow)]

    def moved(
        self, before: PayoutRecord, payout: Payout, actor: Actor | None, reversal_plan_id: str | None = None, *done_at: datetime
    ) -> None:
        """A payout that has come to another status, and who asked for that."""
        at = max(self._now, before.last_at, *done_at)
        self._steps.append(
            PayoutStep(
                payout_id=payout.payout_id,
                sequence=payout.sequence,
                status=payout.status.value,
                cancel_details=payout.cancel_details,
                reversal_plan_id=reversal_plan_id,
                last_event_hash=self._event(before.last_event_hash, payout, actor, at),
                last_at=at,
            )
        )

    def republished(self, payout_id: str, published: Sequence[PayoutEvent], time: int) -> None:
        """The same bytes once more, as records of their own, for the `time`th time."""
        for event in published:
            self._publish(payout_id, event.sequence, event.body, time, max(self._now, event.at))

    def _event(self, previous: bytes, payout: Payout, actor: Actor | None, at: datetime) -> bytes:
        body, who = encode_event(payout, at), encode(actor)
        last_hash = event_link(previous, payout.payout_id, payout.sequence, at, body, actor=who)
        self._events.append(
            EventRow(
                payout_id=payout.payout_id,
                sequence=payout.sequence,
                at=at,
                status=payout.status.value,
                body=body,
                hash=last_hash,
                actor=who,
            )
        )
        self._publish(payout.payout_id, payout.sequence, body, 0, at)
        return last_hash

    def _publish(self, payout_id: str, sequence: int, body: bytes, time: int, at: datetime) -> None:
        self._outbox.append(
            OutboxRow(
                topic=PAYOUT_EVENTS,
                key=payout_id.encode(),
                value=body,
                headers=b"[]",
                event_id=event_id(payout_id, sequence, time),
                message_no=None,
                order_id=None,
                made_at=at,
            )
        )

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """All rows in one round trip. Raises NotAsItWas when a payout could not take its step."""
        write_all(cursor, (self._payouts, self._movements, self._events, self._outbox, self._steps))
        if self._steps and cursor.rowcount != len(self._steps):
            raise NotAsItWas


def _movement(payout_id: str, position: int, posting: CashFlowPosting) -> MovementRow:
    return MovementRow(
        payout_id=payout_id,
        position=position,
        source_type=posting.source_type.value,
        source=posting.source,
        target_type=posting.target_type.value,
        target=posting.target,
        amount=posting.amount,
        currency=posting.currency,
        details=posting.details,
    )


def event_id(payout_id: str, sequence: int, time: int) -> str:
    """The id of a record: of an event that is published for the first time (0) or again. The check makes the same in SQL."""
    name = hashlib.md5(f"{payout_id} {sequence} {time}".encode(), usedforsecurity=False).hexdigest()
    return f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"


def _complete(payout_id: str, found: PayoutRecord | None) -> PayoutRecord | PayoutNotFound:
    if found is None or not found.payout.cash_flow:
        return PayoutNotFound(f"{'CashFlowPosting' if found else 'Payout'} not found, payoutId='{payout_id}'")
    return found


class PayoutReader:
    """Reads payouts on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def exists(self, payout_id: str) -> bool:
        """Whether there is a payout under an id that can be one."""
        return bool(fetch(self._connection, _PayoutId, SQL.payout_exists, (payout_id,)))

    def record(self, payout_id: str) -> PayoutRecord:
        """A payout with what only kvitt knows of it. Raises PayoutNotFound."""
        (found,) = self.each([payout_id])
        if isinstance(found, PayoutNotFound):
            raise found
        return found

    def each(self, payout_ids: Sequence[str]) -> list[PayoutRecord | PayoutNotFound]:
        """Payouts in the order of these ids, PayoutNotFound in the place of one that there is not."""
        found = records(self._connection, [each for each in payout_ids if is_payout_id(each)])
        return [_complete(each, found.get(each)) for each in payout_ids]

    def page(
        self, after: PayoutCursor | None, limit: int, *, party_id: str | None, shop_id: str | None, status: PayoutStatus | None
    ) -> list[Payout]:
        """Payouts behind a place, newest first."""
        wanted = {
            "at": after and after.created_at,
            "payout_id": after and after.payout_id,
            "party_id": party_id,
            "shop_id": shop_id,
            "status": status,
            "limit": limit,
        }
        payout_ids = [row.payout_id for row in fetch(self._connection, _PayoutId, SQL.page, wanted)]
        found = records(self._connection, payout_ids)
        return [found[payout_id].payout for payout_id in payout_ids]

    def events(self, payout_id: str) -> list[PayoutEvent]:
        """The events of a payout, in order. Raises PayoutNotFound."""
        self.record(payout_id)
        return events(self._connection, [payout_id])[payout_id]
