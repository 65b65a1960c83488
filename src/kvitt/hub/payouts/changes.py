"""What one transaction changes of payouts: each change is a row, an event linked to the one before, and a record to tell (design §1)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from kvitt.hub.payouts.stored import Keeper, Standing
from kvitt.hub.payouts.values import PayoutEvent
from kvitt.kernel.actor import Actor, encode
from kvitt.kernel.audit import digest
from kvitt.kernel.rows import write
from kvitt.rules.payouts import Payout
from kvitt.store import payout_rows
from kvitt.store.payout_rows import CashFlowRow, EventRow, PayoutRow, PayoutStep
from kvitt.store.rows import OutboxRow
from kvitt.wire.payout_event import encode_event
from kvitt.wire.topics import PAYOUT_EVENTS


class NotAsItWas(Exception):
    """A payout was not as this transaction had read it under its lock; nothing of the transaction is done."""


class PayoutUnitOfWork:
    """Gathers the rows of a transaction and writes them set by set.

    The moment of an event is the clock's, `now`, which is read under the locks, or the payout's last one, or that of what was done in
    the ledger for it (`done_at`), whichever is latest.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._payouts: list[PayoutRow] = []
        self._cash_flow: list[CashFlowRow] = []
        self._steps: list[PayoutStep] = []
        self._events: list[EventRow] = []
        self._outbox: list[OutboxRow] = []

    def created(self, payout: Payout, keeper: Keeper, plan_id: str, actor: Actor | None, *done_at: datetime) -> None:
        """A payout that was not there before, and who asked for it; its plan is held."""
        at = max(self._now, payout.created_at, *done_at)
        head = self._event(b"", payout, actor, at)
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
                head=head,
                last_at=at,
            )
        )
        self._cash_flow += [
            CashFlowRow(
                payout_id=payout.payout_id,
                position=place,
                source_type=each.source_type.value,
                source=each.source,
                target_type=each.target_type.value,
                target=each.target,
                amount=each.amount,
                currency=each.currency,
                details=each.details,
            )
            for place, each in enumerate(payout.cash_flow)
        ]

    def moved(self, before: Standing, payout: Payout, actor: Actor | None, reversal_plan_id: str | None = None, *done_at: datetime) -> None:
        """A payout that has come to another status, and who asked for that."""
        at = max(self._now, before.last_at, *done_at)
        head = self._event(before.head, payout, actor, at)
        status, details = payout.status.value, payout.cancel_details
        self._steps.append(PayoutStep(payout.payout_id, payout.sequence, status, details, reversal_plan_id, head, at))

    def told_again(self, payout_id: str, events: Sequence[PayoutEvent], time: int) -> None:
        """The same bytes once more, as records of their own, for the `time`th time."""
        for event in events:
            self._tell(payout_id, event.sequence, event.body, time, max(self._now, event.at))

    def _event(self, previous: bytes, payout: Payout, actor: Actor | None, at: datetime) -> bytes:
        body, who = encode_event(payout, at), encode(actor)
        head = event_hash(previous, payout.payout_id, payout.sequence, at, body, actor=who)
        self._events.append(EventRow(payout.payout_id, payout.sequence, at, payout.status.value, body, head, who))
        self._tell(payout.payout_id, payout.sequence, body, 0, at)
        return head

    def _tell(self, payout_id: str, sequence: int, body: bytes, time: int, at: datetime) -> None:
        event = event_id(payout_id, sequence, time)
        self._outbox.append(OutboxRow(PAYOUT_EVENTS, payout_id.encode(), body, b"[]", event, None, None, at))

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """One statement per kind of row that there is. Raises NotAsItWas when a payout could not take its step."""
        payout_rows.write(cursor, self._payouts)
        payout_rows.write(cursor, self._cash_flow)
        if payout_rows.write(cursor, self._steps) != len(self._steps):
            raise NotAsItWas
        payout_rows.write(cursor, self._events)
        write(cursor, self._outbox)


def event_hash(previous: bytes, payout_id: str, sequence: int, at: datetime, body: bytes, *, actor: str | None) -> bytes:
    """The link of an event to the one before it: nothing of it can be changed, and none be taken out, unseen (design §11)."""
    who = () if actor is None else (actor.encode(),)
    return digest(previous, payout_id.encode(), f"{sequence}|{at.timestamp():.6f}".encode(), body, *who)


def event_id(payout_id: str, sequence: int, time: int) -> str:
    """The id of a record: of an event that is told for the first time (0) or again. The check makes the same in SQL."""
    return str(UUID(hashlib.md5(f"{payout_id} {sequence} {time}".encode(), usedforsecurity=False).hexdigest()))
