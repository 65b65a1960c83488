"""Saga steps: what is to be done at a ledger that is not ours is a row before the first call, with one owner (design §4, §9)."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psycopg
from msgspec import Struct, json

from kvitt.kernel.actor import Actor
from kvitt.kernel.fetch import fetch_one, fetch_value
from kvitt.kernel.operators import Signature
from kvitt.kernel.queries import load
from kvitt.payouts.model import Draft

_SQL = load("payout_saga", "kvitt.payouts")
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 30.0


class SagaAction(StrEnum):
    """The act that a saga step is to do."""

    CREATE = "create"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    REVERSE = "reverse"


class SagaState(StrEnum):
    """The state of a saga step: to be done, to be compensated so that nothing stays held, or at an end."""

    FORWARD = "forward"
    COMPENSATING = "compensating"
    DONE = "done"
    COMPENSATED = "compensated"


class SagaContent(Struct, frozen=True, omit_defaults=True):
    """Contents of a saga step: the draft of a create, the details of a cancel, who does it where a person does, and who asked for it."""

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
    """An open step that may be somebody else's; `busy`: its owner is at work on it."""

    step: SagaStep
    busy: bool


class _SagaStepRow(Struct, frozen=True):
    payout_id: str
    number: int
    action: str
    plan_id: str
    content: bytes
    state: str
    fencing_token: int
    tries: int
    held: bool

    def step(self) -> SagaStep:
        return SagaStep(
            payout_id=self.payout_id,
            number=self.number,
            action=SagaAction(self.action),
            plan_id=self.plan_id,
            content=json.decode(self.content, type=SagaContent),
            state=SagaState(self.state),
            fencing_token=self.fencing_token,
            tries=self.tries,
            held=self.held,
        )


class _OpenStepRow(_SagaStepRow, frozen=True):
    busy: bool


class _StepCounts(Struct, frozen=True):
    steps: int
    creates: int
    reversals: int


class SagaStepLost(Exception):
    """Another owner has taken the step over; what it comes to is theirs to say."""

    def __init__(self) -> None:
        super().__init__("another owner has taken it over")


class SagaSteps:
    """Reads and writes saga steps inside the transaction of a cursor. `busy_seconds` is how long an owner is left alone."""

    def __init__(self, cursor: psycopg.Cursor[Any], busy_seconds: float) -> None:
        self.cursor, self._busy = cursor, busy_seconds

    def open_for(self, payout_id: str) -> OpenStep | None:
        """The step that is under way for a payout, or None."""
        row = fetch_one(self.cursor.connection, _OpenStepRow, _SQL.open_saga_step, (payout_id,))
        return None if row is None else OpenStep(row.step(), row.busy)

    def add(self, payout_id: str, action: SagaAction, plan_id: str, content: SagaContent, now: datetime) -> SagaStep:
        """Stores a saga step of which the caller is the owner. The payout must be locked, and have none that is open."""
        number = self._counts(payout_id).steps + 1
        values = {"payout_id": payout_id, "number": number, "action": action, "plan_id": plan_id, "content": json.encode(content)}
        self.cursor.execute(_SQL.add_saga_step, values | {"made_at": now, "busy": self._busy})
        return SagaStep(
            payout_id=payout_id,
            number=number,
            action=action,
            plan_id=plan_id,
            content=content,
            state=SagaState.FORWARD,
            fencing_token=1,
            tries=0,
            held=False,
        )

    def next_attempt(self, payout_id: str, action: SagaAction) -> int:
        """The number of the next try to make a payout, or to reverse it: each has a plan of its own.

        A try to make one that the ledger refused to hold does not count: whatever stands in its way under that name may be the
        same payout, made by others, and is not to be gone round.
        """
        counts = self._counts(payout_id)
        return 1 + (counts.creates if action is SagaAction.CREATE else counts.reversals)

    def acquire(self, step: SagaStep) -> SagaStep | None:
        """Makes the caller the owner of a saga step whose owner is not at work on it; None when somebody was faster."""
        row = fetch_one(self.cursor.connection, _SagaStepRow, _SQL.acquire_saga_step, _key(step) | {"busy": self._busy})
        return None if row is None else row.step()

    def acquire_due(self) -> SagaStep | None:
        """Makes the caller the owner of a saga step that waits for its next try; None when none does."""
        row = fetch_one(self.cursor.connection, _SagaStepRow, _SQL.acquire_due, {"busy": self._busy})
        return None if row is None else row.step()

    def prolong(self, step: SagaStep) -> None:
        """Keeps others away for a while longer. Raises SagaStepLost."""
        self._change(_SQL.prolong_saga_step, _key(step) | {"busy": self._busy})

    def note_held(self, step: SagaStep) -> None:
        """The plan of a reversal is held. Raises SagaStepLost."""
        self._change(_SQL.note_held, _key(step))

    def compensate(self, step: SagaStep) -> None:
        """From now on it is to be compensated, whoever owns it. Raises SagaStepLost."""
        self._change(_SQL.compensate_saga_step, _key(step))

    def leave(self, step: SagaStep, reason: str) -> None:
        """Leaves it to the next owner to go on with, each time after a longer wait."""
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(step.tries, 16), _LONGEST_WAIT_SECONDS)
        self.cursor.execute(_SQL.leave_saga_step, _key(step) | {"wait": wait, "reason": reason})

    def close(self, step: SagaStep, state: SagaState, now: datetime, reason: str | None = None, *, held: bool = True) -> None:
        """Its outcome is known and stored in the same transaction. `held`: its plan was, so its name is used up. Raises SagaStepLost."""
        self._change(_SQL.close_saga_step, _key(step) | {"state": state, "now": now, "reason": reason, "held": held})

    def _counts(self, payout_id: str) -> _StepCounts:
        counts = fetch_one(self.cursor.connection, _StepCounts, _SQL.count_saga_steps, (payout_id,))
        assert counts is not None, "a count is a row"
        return counts

    def _change(self, statement: str, arguments: dict[str, Any]) -> None:
        if fetch_value(self.cursor, statement, arguments) is None:
            raise SagaStepLost


def _key(step: SagaStep) -> dict[str, Any]:
    return {"payout_id": step.payout_id, "number": step.number, "fencing_token": step.fencing_token}
