"""Intents: what is to be done at a ledger that is not ours is a row before the first call, and has one owner at a time (design §4, §9)."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psycopg
from msgspec import Struct, json

from kvitt.hub.actor import Actor
from kvitt.hub.operate import Signature
from kvitt.hub.payouts.draft import Draft
from kvitt.kernel.queries import load

_SQL = load("payout_intents", "kvitt.store")
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 30.0


class Action(StrEnum):
    """What an intent is to do."""

    CREATE = "create"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    REVERSE = "reverse"


class Way(StrEnum):
    """Where an intent is: to be done, to be undone so that nothing stays held, or at an end."""

    FORWARD = "forward"
    BACK = "back"
    DONE = "done"
    UNDONE = "undone"


class Content(Struct, frozen=True, omit_defaults=True):
    """What its action needs: the draft of a create, the details of a cancel, who does it where a person does, and who asked for it."""

    draft: Draft | None = None
    details: str | None = None
    operator: Signature | None = None
    actor: Actor | None = None


class Intent(Struct, frozen=True):
    """An intent in the hands of its owner; everything written for it carries `epoch`. `held`: its plan is, or was, for certain."""

    payout_id: str
    number: int
    action: Action
    plan_id: str
    content: Content
    way: Way
    epoch: int
    tries: int
    held: bool


class Found(Struct, frozen=True):
    """An open intent that may be somebody else's."""

    intent: Intent
    busy: bool


class IntentLost(Exception):
    """Another owner has taken the intent over; what it comes to is theirs to say."""

    def __init__(self) -> None:
        super().__init__("another owner has taken it over")


class Intents:
    """Reads and writes intents inside the transaction of a cursor. `busy_seconds` is how long an owner is left alone."""

    def __init__(self, cursor: psycopg.Cursor[Any], busy_seconds: float) -> None:
        self.cursor, self._busy = cursor, busy_seconds

    def open_for(self, payout_id: str) -> Found | None:
        """What is under way for a payout."""
        row = self.cursor.execute(_SQL.open_intent, (payout_id,), binary=True).fetchone()
        return None if row is None else Found(_intent(row[:-1]), row[-1])

    def add(self, payout_id: str, action: Action, plan_id: str, content: Content, now: datetime) -> Intent:
        """Stores an intent of which the caller is the owner. The payout must be locked, and have none that is open."""
        number = self._counts(payout_id)[0] + 1
        values = {"payout_id": payout_id, "number": number, "action": action, "plan_id": plan_id, "content": json.encode(content)}
        self.cursor.execute(_SQL.add_intent, values | {"made_at": now, "busy": self._busy})
        return Intent(payout_id, number, action, plan_id, content, Way.FORWARD, 1, 0, held=False)

    def next_attempt(self, payout_id: str, action: Action) -> int:
        """The number of the next try to make a payout, or to reverse it: each has a plan of its own.

        A try to make one that the ledger refused to hold does not count: whatever stands in its way under that name may be the
        same payout, made by others, and is not to be gone round.
        """
        _, creates, reversals = self._counts(payout_id)
        return 1 + (creates if action is Action.CREATE else reversals)

    def claim(self, intent: Intent) -> Intent | None:
        """Makes the caller the owner of an intent whose owner is not at work on it; None when somebody was faster."""
        row = self.cursor.execute(_SQL.claim_intent, self._key(intent) | {"busy": self._busy}, binary=True).fetchone()
        return None if row is None else _intent(row)

    def claim_due(self) -> Intent | None:
        """Makes the caller the owner of an intent that waits for its next try; None when none does."""
        row = self.cursor.execute(_SQL.claim_due, {"busy": self._busy}, binary=True).fetchone()
        return None if row is None else _intent(row)

    def prolong(self, intent: Intent) -> None:
        """Keeps others away for a while longer. Raises IntentLost."""
        self._owned(_SQL.prolong_intent, self._key(intent) | {"busy": self._busy})

    def note_held(self, intent: Intent) -> None:
        """The plan of a reversal is held. Raises IntentLost."""
        self._owned(_SQL.note_held, self._key(intent))

    def turn_back(self, intent: Intent) -> None:
        """From now on it is to be undone, whoever owns it. Raises IntentLost."""
        self._owned(_SQL.turn_intent_back, self._key(intent))

    def leave(self, intent: Intent, reason: str) -> None:
        """Gives it up for the next owner to go on with, each time after a longer wait."""
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(intent.tries, 16), _LONGEST_WAIT_SECONDS)
        self.cursor.execute(_SQL.leave_intent, self._key(intent) | {"wait": wait, "reason": reason})

    def close(self, intent: Intent, way: Way, now: datetime, reason: str | None = None, *, held: bool = True) -> None:
        """Its outcome is known and stored in the same transaction. `held`: its plan was, so its name is used up. Raises IntentLost."""
        self._owned(_SQL.close_intent, self._key(intent) | {"state": way, "now": now, "reason": reason, "held": held})

    def _counts(self, payout_id: str) -> tuple[int, int, int]:
        row = self.cursor.execute(_SQL.count_intents, (payout_id,), binary=True).fetchone()
        assert row is not None, "a count is a row"
        return row[0], row[1], row[2]

    def _owned(self, statement: str, arguments: dict[str, Any]) -> None:
        if self.cursor.execute(statement, arguments, binary=True).fetchone() is None:
            raise IntentLost

    @staticmethod
    def _key(intent: Intent) -> dict[str, Any]:
        return {"payout_id": intent.payout_id, "number": intent.number, "epoch": intent.epoch}


def _intent(row: Sequence[Any]) -> Intent:
    payout_id, number, action, plan_id, content, way, epoch, tries, held = row
    return Intent(payout_id, number, Action(action), plan_id, json.decode(bytes(content), type=Content), Way(way), epoch, tries, held)
