"""Payouts whose plans are in a ledger that is not ours: a stored state machine, with no call inside a transaction (design §1, §9)."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from kvitt.errors import KvittError, PayoutAlreadyExists, PayoutInProgress, PayoutNotFound, PayoutsFailed
from kvitt.hub.payouts.commands import Cancel, Confirm, Create, actor_of
from kvitt.hub.payouts.decide import Todo, decide, to_create
from kvitt.hub.payouts.drive import CallBudget, SagaContext, SagaRunner
from kvitt.hub.payouts.intents import SagaAction, SagaContent, SagaStep, SagaSteps
from kvitt.hub.payouts.stored import Keeper, load, lock
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.state_log import StateLog
from kvitt.rules.payouts import Payout

_log = structlog.get_logger(__name__)
_TRIES: Final = 10
_LOOK_SECONDS: Final = 0.05
"""Between two looks at a saga step that somebody else is at work on."""
_ACTION: Final = {"commit": SagaAction.CONFIRM, "rollback": SagaAction.CANCEL, "revert": SagaAction.REVERSE}


class Remote:
    """Makes and ends payouts at another's ledger. Safe for use by several threads."""

    def __init__(self, context: SagaContext) -> None:
        self._context, self._runner = context, SagaRunner(context)
        self._states = StateLog(_log)

    def create(self, command: Create, deadline: datetime | None) -> Payout:
        """Stores a saga step, holds the plan, stores the payout. What an earlier try under this id has left is undone first.

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

    def _begin_create(self, command: Create) -> tuple[SagaStep, bool]:
        """A saga step to make the payout (True), or one to undo first what was left of an earlier try."""
        payout_id, draft = command.payout_id, command.draft
        with self._context.steps() as steps:
            lock(steps.cursor, [payout_id])
            found = steps.open_for(payout_id)
            if load(steps.cursor, [payout_id]):
                raise PayoutAlreadyExists(f"there is a payout with the id {payout_id}")
            if found and found.busy:
                raise _in_progress(payout_id)
            if found is None:
                todo = to_create(draft, steps.next_attempt(payout_id, SagaAction.CREATE))
                if not isinstance(todo, Todo):
                    raise _refusal(todo)
                return steps.add(
                    payout_id, SagaAction.CREATE, todo.calls[0].plan_id, SagaContent(draft, actor=command.actor), self._context.clock()
                ), True
            claimed = steps.claim(found.step)
            if claimed is None:
                raise _in_progress(payout_id)
            return claimed, False

    def end(self, command: Confirm | Cancel, deadline: datetime | None) -> bool:
        """Confirms or cancels a payout, after what is under way for it was finished; False when its plan is in our own ledger.

        Raises PayoutNotFound, PayoutInOtherState, PayoutInProgress, PayoutsFailed.
        """
        budget, now = CallBudget(_TRIES, deadline), self._context.clock
        give_up_at = deadline or now() + timedelta(seconds=self._context.busy_seconds)
        while True:
            begun = self._begin_end(command)
            fault_point("payouts.saga_step_stored")
            if isinstance(begun, bool):
                return begun
            step, mine = begun
            if step is None:
                if now() >= give_up_at:
                    raise _in_progress(command.payout_id)
                self._context.sleep(_LOOK_SECONDS)
                continue
            try:
                self._runner.run(step, budget)
            except PayoutsFailed:
                # What somebody else had begun may have come to nothing: then this call can be tried all the same.
                if mine or self._is_open(step):
                    raise
            if mine:
                return True

    def _begin_end(self, command: Confirm | Cancel) -> tuple[SagaStep | None, bool] | bool:
        """A saga step that is ours to carry out, and whether it is this call's; None while somebody is at work; or that nothing is left
        to do here: True when it is done, False when the plan is in our own ledger.
        """
        payout_id = command.payout_id
        with self._context.steps() as steps:
            lock(steps.cursor, [payout_id])
            standing = load(steps.cursor, [payout_id]).get(payout_id)
            if standing is None:
                raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
            if standing.keeper is Keeper.OWN:
                return False
            if found := steps.open_for(payout_id):
                return (None if found.busy else steps.claim(found.step)), False
            decided = decide(command, standing, steps.next_attempt(payout_id, SagaAction.REVERSE))
            if isinstance(decided, Payout):
                return True
            if not isinstance(decided, Todo):
                raise _refusal(decided)
            return self._store(steps, command, decided), True

    def _store(self, steps: SagaSteps, command: Confirm | Cancel, todo: Todo) -> SagaStep:
        details = command.details if isinstance(command, Cancel) else None
        content = SagaContent(details=details, operator=command.operator, actor=actor_of(command))
        return steps.add(command.payout_id, _ACTION[todo.act], todo.calls[0].plan_id, content, self._context.clock())

    def _is_open(self, step: SagaStep) -> bool:
        with self._context.steps() as steps:
            found = steps.open_for(step.payout_id)
        return found is not None and found.step.number == step.number

    def sweep(self) -> int:
        """Takes over one step that waits for its next try, and carries it on; gives how many there were: one or none."""
        with self._context.steps() as steps:
            claimed = steps.claim_due()
        if claimed is None:
            return 0
        try:
            self._runner.run(claimed, CallBudget())
        except PayoutsFailed as error:
            left = {"action": claimed.action.value, "number": claimed.number}
            self._states.enters("sweep", str(error.__cause__), "info", "payout not ended yet", **left, reason=str(error.__cause__))
        return 1


def _in_progress(payout_id: str) -> PayoutInProgress:
    return PayoutInProgress(f"the payout {payout_id} is being made or ended; ask again in a moment")


def _refusal(decided: Payout | KvittError) -> KvittError:
    assert isinstance(decided, KvittError), "what is neither to do nor done is refused"
    return decided
