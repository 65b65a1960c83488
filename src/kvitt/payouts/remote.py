"""Makes and ends payouts at a ledger that is not ours: each act is a stored saga step, with no call inside a transaction (design §9)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog

from kvitt.errors import KvittError, PayoutAlreadyExists, PayoutInProgress, PayoutNotFound, PayoutsFailed
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.state_log import StateLog
from kvitt.payouts.decide import PayoutChange, decide, to_create
from kvitt.payouts.model import (
    CancelPayout,
    ConfirmPayout,
    CreatePayout,
    Keeper,
    Payout,
    actor_of,
)
from kvitt.payouts.repository import lock, records
from kvitt.payouts.saga import (
    NAME_OF,
    CallBudget,
    SagaContext,
    SagaRunner,
)
from kvitt.payouts.saga_steps import (
    SagaAction,
    SagaContent,
    SagaStep,
    SagaSteps,
)

_log = structlog.get_logger(__name__)
_TRIES: Final = 10
_LOOK_SECONDS: Final = 0.05
"""Between two looks at a saga step that somebody else is at work on."""
_SWEEP_SECONDS: Final = 0.5
_ACTION_OF: Final = {name: action for action, name in NAME_OF.items()}


class RemotePayouts:
    """Makes and ends payouts at another's ledger. Safe for use by several threads."""

    def __init__(self, context: SagaContext) -> None:
        self._context, self._runner = context, SagaRunner(context)
        self._states = StateLog(_log)

    def create(self, command: CreatePayout, deadline: datetime | None) -> Payout:
        """Stores a saga step, holds the plan, stores the payout. What an earlier try under this id has left is compensated first.

        Raises PayoutAlreadyExists, PayoutInProgress while an earlier call may still make one under this id or not, InsufficientFunds,
        InvalidPayout, PayoutsFailed.
        """
        budget = CallBudget(_TRIES, deadline)
        while True:
            step, mine = self._begin_create(command)
            fault_point("payouts.saga_step_stored")
            if mine:
                return self._runner.create(step, command.draft, budget)
            self._runner.run(step, budget)

    def _begin_create(self, command: CreatePayout) -> tuple[SagaStep, bool]:
        """A saga step to make the payout (True), or one to compensate first what was left of an earlier try."""
        payout_id = command.payout_id
        with self._context.steps() as steps:
            lock(steps.cursor, [payout_id])
            found = steps.open_for(payout_id)
            if records(steps.cursor.connection, [payout_id]):
                raise PayoutAlreadyExists(f"there is a payout with the id {payout_id}")
            if found is None:
                change = _to_do(to_create(command.draft, steps.next_attempt(payout_id, SagaAction.CREATE)))
                content = SagaContent(command.draft, actor=command.actor)
                return steps.add(payout_id, SagaAction.CREATE, change.calls[0].plan_id, content, self._context.clock()), True
            acquired = None if found.busy else steps.acquire(found.step)
            if acquired is None:
                raise _in_progress(payout_id)
            return acquired, False

    def end(self, command: ConfirmPayout | CancelPayout, deadline: datetime | None) -> Payout | None:
        """Confirms or cancels a payout, after what is under way for it was finished; None when its plan is in our own ledger.

        Raises PayoutNotFound, PayoutInOtherState, PayoutInProgress, PayoutsFailed.
        """
        budget, now = CallBudget(_TRIES, deadline), self._context.clock
        give_up_at = deadline or now() + timedelta(seconds=self._context.busy_seconds)
        while True:
            begun = self._begin_end(command)
            fault_point("payouts.saga_step_stored")
            if not isinstance(begun, tuple):
                return begun
            step, mine = begun
            if step is None:
                if now() >= give_up_at:
                    raise _in_progress(command.payout_id)
                self._context.sleep(_LOOK_SECONDS)
                continue
            try:
                ended = self._runner.run(step, budget)
            except PayoutsFailed:
                # What somebody else had begun may have come to nothing: then this call can be tried all the same.
                if mine or self._is_open(step):
                    raise
                continue
            if mine:
                return ended

    def _begin_end(self, command: ConfirmPayout | CancelPayout) -> tuple[SagaStep | None, bool] | Payout | None:
        """A saga step that is ours to carry out, and whether it is this call's, no step while somebody is at work; or the payout, where it
        is done already, and None when the plan is in our own ledger.
        """
        payout_id = command.payout_id
        with self._context.steps() as steps:
            lock(steps.cursor, [payout_id])
            record = records(steps.cursor.connection, [payout_id]).get(payout_id)
            if record is None:
                raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
            if record.keeper is Keeper.OWN:
                return None
            if found := steps.open_for(payout_id):
                return (None if found.busy else steps.acquire(found.step)), False
            decided = decide(command, record, steps.next_attempt(payout_id, SagaAction.REVERSE))
            if isinstance(decided, Payout):
                return decided
            return self._store(steps, command, _to_do(decided)), True

    def _store(self, steps: SagaSteps, command: ConfirmPayout | CancelPayout, change: PayoutChange) -> SagaStep:
        details = command.details if isinstance(command, CancelPayout) else None
        content = SagaContent(details=details, operator=command.operator, actor=actor_of(command))
        return steps.add(command.payout_id, _ACTION_OF[change.act], change.calls[0].plan_id, content, self._context.clock())

    def _is_open(self, step: SagaStep) -> bool:
        with self._context.steps() as steps:
            found = steps.open_for(step.payout_id)
        return found is not None and found.step.number == step.number

    def sweep(self) -> int:
        """Takes over one saga step that waits for its next try, and carries it on; returns how many there were: one or none."""
        with self._context.steps() as steps:
            acquired = steps.acquire_due()
        if acquired is None:
            return 0
        try:
            self._runner.run(acquired, CallBudget())
        except PayoutsFailed as error:
            left = {"action": acquired.action.value, "number": acquired.number}
            self._states.enters("sweep", str(error.__cause__), "info", "payout not ended yet", **left, reason=str(error.__cause__))
        return 1


def _in_progress(payout_id: str) -> PayoutInProgress:
    return PayoutInProgress(f"the payout {payout_id} is being made or ended; ask again in a moment")


def _to_do(decided: PayoutChange | Payout | KvittError) -> PayoutChange:
    """The change that was decided; raises the refusal where that is what was decided."""
    if isinstance(decided, KvittError):
        raise decided
    assert isinstance(decided, PayoutChange), "what is done already was answered"
    return decided


class SagaSweeper:
    """Finishes or compensates, as a role, what was begun and left; any number may run, for each saga step has one owner at a time."""

    def __init__(self, remote: RemotePayouts, wake_up: WakeUp) -> None:
        """`wake_up` ends the wait of a sweeper that has nothing to do."""
        self._remote, self._wake_up = remote, wake_up

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """The step of the loop: one saga step that is due, or a little wait."""
        yield lambda: self._remote.sweep() or self._nothing_due()

    def _nothing_due(self) -> int:
        self._wake_up.sleep(_SWEEP_SECONDS)
        return 0
