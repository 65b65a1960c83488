"""Runs sagas: carries a stored step to its end at a ledger that is not ours, or leaves it for whoever comes next (design §9; payouts §2.8).

A payout goes forward to be made only in the hands of the call that began it; whoever comes later compensates it, so that nothing stays
held. What ends a plan is done by whoever comes next, because the ledger answers repeats as the first time.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
import structlog
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.errors import InsufficientFunds, InvalidPayout
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.money import Minor
from kvitt.kernel.operators import note
from kvitt.kernel.state_log import StateLog
from kvitt.ledger.rules import Batch
from kvitt.payouts.decide import failed, held_batch, reversal_batch
from kvitt.payouts.model import Draft, Keeper, Payout
from kvitt.payouts.ports import (
    LedgerCallFailed,
    LedgerRefused,
    LedgerUnavailable,
    RemoteLedger,
)
from kvitt.payouts.repository import PayoutUnitOfWork, lock, records
from kvitt.payouts.rules import PayoutStatus, after, other_currencies
from kvitt.payouts.saga_steps import (
    SagaAction,
    SagaState,
    SagaStep,
    SagaStepLost,
    SagaSteps,
)

Given = TypeVar("Given")
_log = structlog.get_logger(__name__)
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 30.0
_MOST_CURRENCIES: Final = 100_000
NAME_OF: Final = {SagaAction.CREATE: "hold", SagaAction.CONFIRM: "commit", SagaAction.CANCEL: "rollback", SagaAction.REVERSE: "revert"}
"""The acts of steps at the ledger, as failures name them."""


class CallBudget(Struct, frozen=True):
    """Bounds a call that is not taken: how often it is made, and until when it may be made again."""

    tries: int = 1
    deadline: datetime | None = None


class SagaContext(Struct, frozen=True):
    """The surroundings of sagas: where steps are stored and carried out.

    An owner that has not prolonged its step for `busy_seconds` has lost it; a call of the ledger must take less. `sleep` waits so many
    seconds between two tries.
    """

    pool: ConnectionPool[psycopg.Connection[Any]]
    clock: Clock
    ledger: RemoteLedger
    busy_seconds: float = 90.0
    sleep: Callable[[float], object] = threading.Event().wait

    @contextmanager
    def steps(self) -> Iterator[SagaSteps]:
        """A transaction in which saga steps are read and written."""
        with self.pool.connection() as connection, transaction(connection), connection.cursor() as cursor:
            yield SagaSteps(cursor, self.busy_seconds)


class SagaRunner:
    """Carries out saga steps that its caller owns. Safe for use by several threads."""

    def __init__(self, context: SagaContext) -> None:
        self._context, self._ledger = context, context.ledger
        self._currencies: dict[int, str] = {}
        self._states = StateLog(_log)

    def create(self, step: SagaStep, draft: Draft, budget: CallBudget) -> Payout:
        """Holds the plan of a payout that is to be made, and stores the payout.

        Raises InsufficientFunds, InvalidPayout, PayoutsFailed: then what was begun is compensated, here or by whoever comes next.
        """
        batch = held_batch(draft.payout)
        with self._failing(step):
            self._compare_currencies(step, draft, budget)
            available = self._hold_once(step, batch, budget)
            fault_point("payouts.after_hold")
            if available.get(draft.settlement, -1) >= 0:
                return self._created(step, draft.payout)
        # The rest is for whoever comes next, if it fails: what the caller gets is known.
        with suppress(SagaStepLost):
            try:
                self._rollback(step, batch, budget)
            except LedgerCallFailed as error:
                self._leave(step, str(error))
            else:
                self._close(step, SagaState.COMPENSATED, "the shop had not that much", held=True)
        raise InsufficientFunds("the shop has not that much")

    def run(self, step: SagaStep, budget: CallBudget) -> Payout | None:
        """Does what a saga step is about, and returns the payout as it stands then; or compensates it, and returns None.

        Raises PayoutsFailed where it was refused, or is left for whoever comes next.
        """
        with self._failing(step):
            batch = self._batch(step)
            if step.state is SagaState.COMPENSATING:
                self._release(step, batch, budget)
                return None
            try:
                self._end(step, batch, budget)
            except LedgerRefused as refused:
                self._give_up(step, batch, budget, refused)
                raise failed(NAME_OF[step.action], step.payout_id, str(refused)) from refused
            fault_point("payouts.after_end")
            return self._ended(step)

    def _compare_currencies(self, step: SagaStep, draft: Draft, budget: CallBudget) -> None:
        """Asks for the currencies of accounts, once; the ledger may compare them or not. Raises InvalidPayout, LedgerCallFailed."""
        payout = draft.payout
        accounts = {draft.settlement, *(account for each in payout.cash_flow for account in (each.source, each.target))}
        found = {account_id: self._currency(step, account_id, budget) for account_id in sorted(accounts)}
        known = {account_id: currency for account_id, currency in found.items() if currency is not None}
        if wrong := other_currencies(payout.currency, payout.cash_flow, known):
            self._close(step, SagaState.COMPENSATED, "; ".join(wrong), held=False)
            raise InvalidPayout(*wrong)

    def _currency(self, step: SagaStep, account_id: int, budget: CallBudget) -> str | None:
        if (known := self._currencies.get(account_id)) is not None:
            return known
        currency = self._call(step, budget, partial(self._ledger.currency, account_id, deadline=budget.deadline))
        if currency is not None:
            if len(self._currencies) > _MOST_CURRENCIES:
                self._currencies.clear()
            self._currencies[account_id] = currency
        return currency

    def _hold_once(self, step: SagaStep, batch: Batch, budget: CallBudget) -> Mapping[int, Minor]:
        try:
            return self._hold(step, batch, budget)
        except LedgerRefused as refused:
            self._close(step, SagaState.COMPENSATED, str(refused), held=False)
            raise failed("hold", step.payout_id, str(refused)) from refused

    def _end(self, step: SagaStep, batch: Batch, budget: CallBudget) -> None:
        if step.action is SagaAction.CANCEL:
            self._rollback(step, batch, budget)
            return
        if step.action is SagaAction.REVERSE and not step.held:
            self._hold(step, batch, budget)
            fault_point("payouts.after_hold")
            # What has been committed can not be held again: who comes after the commit must know not to ask for it.
            with self._context.steps() as steps:
                steps.note_held(step)
        self._call(step, budget, lambda: self._ledger.commit(step.plan_id, batch, deadline=budget.deadline))

    def _give_up(self, step: SagaStep, batch: Batch, budget: CallBudget, refused: LedgerRefused) -> None:
        """Closes a step that was refused; of a reversal something may be held, and is released."""
        if step.action is not SagaAction.REVERSE:
            self._close(step, SagaState.COMPENSATED, str(refused), held=True)
            return
        with self._context.steps() as steps:
            steps.compensate(step)
        self._release(step, batch, budget)

    def _release(self, step: SagaStep, batch: Batch, budget: CallBudget) -> None:
        """Holds the plan once more and then rolls it back, so that a hold that is still on its way is refused when it arrives.

        Where both are refused, nothing is held, and what was refused now is refused later.
        """
        refused: LedgerRefused | None = None
        try:
            self._hold(step, batch, budget)
        except LedgerRefused as error:
            refused = error
        fault_point("payouts.after_hold")
        try:
            self._rollback(step, batch, budget)
        except LedgerRefused:
            if refused is None:
                raise
            self._close(step, SagaState.COMPENSATED, f"refused: {refused}", held=False)
        else:
            self._close(step, SagaState.COMPENSATED, "released", held=True)

    def _hold(self, step: SagaStep, batch: Batch, budget: CallBudget) -> Mapping[int, Minor]:
        return self._call(step, budget, lambda: self._ledger.hold(step.plan_id, batch, deadline=budget.deadline))

    def _rollback(self, step: SagaStep, batch: Batch, budget: CallBudget) -> None:
        self._call(step, budget, lambda: self._ledger.rollback(step.plan_id, batch, deadline=budget.deadline))

    def _call(self, step: SagaStep, budget: CallBudget, call: Callable[[], Given]) -> Given:
        """Makes a call until it is taken, as often and as long as the budget lasts, and stays the owner meanwhile (payouts §2.8).

        Only what the ledger says it has not done is repeated here. Raises what the last try raised, SagaStepLost.
        """
        wait = _FIRST_WAIT_SECONDS
        for left in reversed(range(budget.tries)):
            with self._context.steps() as steps:
                steps.prolong(step)
            try:
                given = call()
            except LedgerUnavailable:
                if not left or (budget.deadline and self._context.clock() + timedelta(seconds=wait) >= budget.deadline):
                    raise
            else:
                self._states.leaves("ledger", "the ledger answers again")
                return given
            self._context.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        raise AssertionError("the last try returns or raises")

    def _batch(self, step: SagaStep) -> Batch:
        """The batch of the step's plan, from the draft of what is to be made, or from the payout that is there."""
        if step.content.draft is not None:
            return held_batch(step.content.draft.payout)
        with self._context.pool.connection() as connection:
            payout = records(connection, [step.payout_id])[step.payout_id].payout
        return reversal_batch(payout) if step.action is SagaAction.REVERSE else held_batch(payout)

    def _created(self, step: SagaStep, payout: Payout) -> Payout:
        with self._closing(step) as (_, work, _):
            work.created(payout, Keeper.REMOTE, step.plan_id, step.content.actor)
        return payout

    def _ended(self, step: SagaStep) -> Payout:
        """The ledger has done it; so the payout is confirmed or cancelled, whoever asked for it."""
        content, confirmed = step.content, step.action is SagaAction.CONFIRM
        status = PayoutStatus.CONFIRMED if confirmed else PayoutStatus.CANCELLED
        reversal = step.plan_id if step.action is SagaAction.REVERSE else None
        with self._closing(step) as (cursor, work, now):
            record = records(cursor.connection, [step.payout_id])[step.payout_id]
            payout = after(record.payout, status, content.details)
            work.moved(record, payout, content.actor, reversal)
            if content.operator:
                what = "payout confirm" if confirmed else "payout cancel"
                note(cursor, now, what, content.operator, step.payout_id)
        return payout

    @contextmanager
    def _closing(self, step: SagaStep) -> Iterator[tuple[psycopg.Cursor[Any], PayoutUnitOfWork, datetime]]:
        """The transaction in which a step is done, and the payout made or moved by it, with its moment."""
        with self._context.steps() as steps:
            lock(steps.cursor, [step.payout_id])
            work = PayoutUnitOfWork(now := self._context.clock())
            steps.close(step, SagaState.DONE, now)
            yield steps.cursor, work, now
            work.write(steps.cursor)
            fault_point("payouts.before_commit")
        fault_point("payouts.after_commit")

    def _close(self, step: SagaStep, state: SagaState, reason: str, *, held: bool) -> None:
        with self._context.steps() as steps:
            steps.close(step, state, self._context.clock(), reason, held=held)

    def _leave(self, step: SagaStep, reason: str) -> None:
        left = {"action": step.action.value, "number": step.number, "tries": step.tries}
        self._states.enters("ledger", reason, "warning", "payout left for the next try", **left, reason=reason)
        with self._context.steps() as steps:
            steps.leave(step, reason)

    @contextmanager
    def _failing(self, step: SagaStep) -> Iterator[None]:
        """Turns what the ledger did not do into the contract's failure, and leaves the step for whoever comes next."""
        name = NAME_OF[step.action]
        try:
            yield
        except LedgerCallFailed as error:
            self._leave(step, str(error))
            raise failed(name, step.payout_id, str(error)) from error
        except SagaStepLost as error:
            raise failed(name, step.payout_id, str(error)) from error
