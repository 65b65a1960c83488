"""Saga steps: what is to be done at a ledger that is not ours is a row before the first call, with one owner (design §4, §9)."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psycopg
from msgspec import Struct, json

from kvitt.hub.payouts.draft import Draft
from kvitt.kernel.actor import Actor
from kvitt.kernel.operators import Signature
from kvitt.kernel.queries import load

_SQL = load("payout_saga", "kvitt.store")
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 30.0


class SagaAction(StrEnum):
    """What a saga step is to do."""

    CREATE = "create"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    REVERSE = "reverse"


class SagaState(StrEnum):
    """Where a saga step is: to be done, to be undone so that nothing stays held, or at an end."""

    FORWARD = "forward"
    COMPENSATING = "compensating"
    DONE = "done"
    COMPENSATED = "compensated"


class SagaContent(Struct, frozen=True, omit_defaults=True):
    """What its action needs: the draft of a create, the details of a cancel, who does it where a person does, and who asked for it."""

    draft: Draft | None = None
    details: str | None = None
    operator: Signature | None = None
    actor: Actor | None = None


class SagaStep(Struct, frozen=True):
    """A saga step in the hands of its owner; what is written for it carries `fencing_token`. `held`: its plan is, or was, for certain."""

    payout_id: str
    number: int
    action: SagaAction
    plan_id: str
    content: SagaContent
    state: SagaState
    fencing_token: int
    tries: int
    held: bool


class OpenStep(Struct, frozen=True):
    """An open step that may be somebody else's."""

    step: SagaStep
    busy: bool


class SagaStepLost(Exception):
    """Another owner has taken the step over; what it comes to is theirs to say."""

    def __init__(self) -> None:
        super().__init__("another owner has taken it over")


class SagaSteps:
    """Reads and writes saga steps inside the transaction of a cursor. `busy_seconds` is how long an owner is left alone."""

    def __init__(self, cursor: psycopg.Cursor[Any], busy_seconds: float) -> None:
        self.cursor, self._busy = cursor, busy_seconds

    def open_for(self, payout_id: str) -> OpenStep | None:
        """What is under way for a payout."""
        row = self.cursor.execute(_SQL.open_saga_step, (payout_id,), binary=True).fetchone()
        return None if row is None else OpenStep(_saga_step(row[:-1]), row[-1])

    def add(self, payout_id: str, action: SagaAction, plan_id: str, content: SagaContent, now: datetime) -> SagaStep:
        """Stores a saga step of which the caller is the owner. The payout must be locked, and have none that is open."""
        number = self._counts(payout_id)[0] + 1
        values = {"payout_id": payout_id, "number": number, "action": action, "plan_id": plan_id, "content": json.encode(content)}
        self.cursor.execute(_SQL.add_saga_step, values | {"made_at": now, "busy": self._busy})
        return SagaStep(payout_id, number, action, plan_id, content, SagaState.FORWARD, 1, 0, held=False)

    def next_attempt(self, payout_id: str, action: SagaAction) -> int:
        """The number of the next try to make a payout, or to reverse it: each has a plan of its own.

        A try to make one that the ledger refused to hold does not count: whatever stands in its way under that name may be the
        same payout, made by others, and is not to be gone round.
        """
        _, creates, reversals = self._counts(payout_id)
        return 1 + (creates if action is SagaAction.CREATE else reversals)

    def claim(self, step: SagaStep) -> SagaStep | None:
        """Makes the caller the owner of a saga step whose owner is not at work on it; None when somebody was faster."""
        row = self.cursor.execute(_SQL.claim_saga_step, self._key(step) | {"busy": self._busy}, binary=True).fetchone()
        return None if row is None else _saga_step(row)

    def claim_due(self) -> SagaStep | None:
        """Makes the caller the owner of a saga step that waits for its next try; None when none does."""
        row = self.cursor.execute(_SQL.claim_due, {"busy": self._busy}, binary=True).fetchone()
        return None if row is None else _saga_step(row)

    def prolong(self, step: SagaStep) -> None:
        """Keeps others away for a while longer. Raises SagaStepLost."""
        self._owned(_SQL.prolong_saga_step, self._key(step) | {"busy": self._busy})

    def note_held(self, step: SagaStep) -> None:
        """The plan of a reversal is held. Raises SagaStepLost."""
        self._owned(_SQL.note_held, self._key(step))

    def compensate(self, step: SagaStep) -> None:
        """From now on it is to be undone, whoever owns it. Raises SagaStepLost."""
        self._owned(_SQL.compensate_saga_step, self._key(step))

    def leave(self, step: SagaStep, reason: str) -> None:
        """Gives it up for the next owner to go on with, each time after a longer wait."""
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(step.tries, 16), _LONGEST_WAIT_SECONDS)
        self.cursor.execute(_SQL.leave_saga_step, self._key(step) | {"wait": wait, "reason": reason})

    def close(self, step: SagaStep, state: SagaState, now: datetime, reason: str | None = None, *, held: bool = True) -> None:
        """Its outcome is known and stored in the same transaction. `held`: its plan was, so its name is used up. Raises SagaStepLost."""
        self._owned(_SQL.close_saga_step, self._key(step) | {"state": state, "now": now, "reason": reason, "held": held})

    def _counts(self, payout_id: str) -> tuple[int, int, int]:
        row = self.cursor.execute(_SQL.count_saga_steps, (payout_id,), binary=True).fetchone()
        assert row is not None, "a count is a row"
        return row[0], row[1], row[2]

    def _owned(self, statement: str, arguments: dict[str, Any]) -> None:
        if self.cursor.execute(statement, arguments, binary=True).fetchone() is None:
            raise SagaStepLost

    @staticmethod
    def _key(step: SagaStep) -> dict[str, Any]:
        return {"payout_id": step.payout_id, "number": step.number, "fencing_token": step.fencing_token}


def _saga_step(row: Sequence[Any]) -> SagaStep:
    payout_id, number, action, plan_id, content, state, fencing_token, tries, held = row
    return SagaStep(
        payout_id,
        number,
        SagaAction(action),
        plan_id,
        json.decode(bytes(content), type=SagaContent),
        SagaState(state),
        fencing_token,
        tries,
        held,
    )
