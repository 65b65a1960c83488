"""Applies calls to plans and accounts in memory, while their rows are locked, and gathers the rows that the calls make (payouts §4.4)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from kvitt.kernel.actor import encode
from kvitt.kernel.money import NOTHING, Minor
from kvitt.kernel.rows import write
from kvitt.ledger.calls import AccountState, Call, CallResult, Done, Insolvent, StepKey
from kvitt.ledger.repository import AccountStep, EntryRow, LockedAccountRow, PlanRow, PlanUpdate, PostingRow, StepRow, text_array
from kvitt.ledger.rules import (
    INT64_MAX,
    STATE_AFTER,
    Batch,
    InvalidRequest,
    Operation,
    PlanState,
    Posting,
    Totals,
    after_final,
    after_hold,
    differing,
    net_by_account,
    out_of_order,
    overflow,
    unknown_accounts,
)

_EVER = datetime.min.replace(tzinfo=UTC)


def step_key(call: Call) -> StepKey:
    """Under what the answer to a call is found again."""
    return call.plan_id, call.operation, call.batches[0].batch_id if call.operation is Operation.HOLD else INT64_MAX


def accounts_of(call: Call) -> set[int]:
    """The accounts between which a call moves money."""
    return {account for batch in call.batches for posting in batch.postings for account in posting[:2]}


class LockedAccount:
    """An account whose row is locked; nothing that happens to it is earlier than `last_at`."""

    def __init__(self, row: LockedAccountRow) -> None:
        state = row.state()
        self.account, self.totals, self.entries, self.last_at = state.account, state.totals, row.entries, row.last_at
        self.changed = False

    def add_entry(self, after: Totals, at: datetime) -> int:
        """Takes in what a step did to it; returns the number of the entry."""
        self.totals, self.entries, self.last_at, self.changed = after, self.entries + 1, at, True
        return self.entries

    def step(self) -> AccountStep:
        """Its row after the transaction."""
        posted, available_min, available_max = self.totals
        return AccountStep(
            account_id=self.account.account_id,
            posted=posted,
            available_min=available_min,
            available_max=available_max,
            entries=self.entries,
            last_at=self.last_at,
        )


class LockedPlan:
    """A plan whose row is locked, or that nobody has held yet (`state` None), with its batches and what it nets on each account."""

    def __init__(self, state: PlanState | None, changed_at: datetime = _EVER, batches: Sequence[Batch] = ()) -> None:
        self.state = state
        self.is_new = state is None
        self.changed = False
        self.held_at = self.changed_at = changed_at
        self.batches: dict[int, tuple[Posting, ...]] = {}
        self.net: dict[int, Minor] = {}
        for batch in batches:
            self.add(batch)

    def add(self, batch: Batch) -> None:
        """Takes in a batch that is held."""
        self.batches[batch.batch_id] = batch.postings
        for account_id, net in net_by_account(batch.postings).items():
            self.net[account_id] = Minor(self.net.get(account_id, 0) + net)

    def step(self, operation: Operation, at: datetime) -> None:
        """Takes in what was done to it at a moment."""
        self.held_at = at if self.state is None else self.held_at
        self.state, self.changed_at, self.changed = STATE_AFTER[operation], at, True


class AnsweredBefore(Exception):
    """The call was done before, outside this transaction: its answer has to be read."""


class LedgerTransaction:
    """The plans and accounts that a batch of calls touches, locked, and the rows that the calls make.

    The moment of a step is the clock's, `now`, or the last one of its plan or of an account that it touches, whichever is latest: so the
    moments of each account and plan never go back, whatever the clocks of the processes do.
    """

    def __init__(self, plans: Mapping[str, LockedPlan], accounts: Mapping[int, LockedAccount], now: datetime) -> None:
        self._plans, self._accounts, self._now = plans, accounts, now
        self._currencies = {account_id: locked.account.currency for account_id, locked in accounts.items()}
        self._results: dict[StepKey, Done] = {}
        self._postings: list[PostingRow] = []
        self._steps: list[StepRow] = []
        self._entries: list[EntryRow] = []

    def apply(self, call: Call) -> CallResult:
        """Does a well-formed call; a refused one changes nothing. Raises AnsweredBefore where only the store knows its answer."""
        plan = self._plans[call.plan_id]
        if refusal := out_of_order(call.plan_id, plan.state, call.operation) or differing(call.operation, plan.batches, call.batches):
            return refusal
        fresh = [batch for batch in call.batches if batch.batch_id not in plan.batches]
        if not fresh and plan.state is STATE_AFTER[call.operation]:
            return self._result_of(call)
        if refusal := unknown_accounts(fresh, self._currencies) or self._incomparable(call):
            return refusal
        totals = self._totals_after_hold(plan, fresh) if call.operation is Operation.HOLD else self._totals_after_end(plan, call.operation)
        if call.solvent is not None and not self._is_solvent(call.solvent, totals):
            return Insolvent(call.solvent)
        if refusal := overflow(call.plan_id, totals):
            return refusal
        return self._note(call, plan, fresh, totals)

    def _incomparable(self, call: Call) -> InvalidRequest | None:
        """An account that has to stay solvent is compared with what moves, and so is in the same currency."""
        expected = None if call.solvent is None else self._currencies.get(call.solvent)
        if expected is None:
            return None
        actual = {posting.currency for batch in call.batches for posting in batch.postings} - {expected}
        if not actual:
            return None
        return InvalidRequest(f"Account ({call.solvent}) currency code is not equal: expected: {expected}, actual: {min(actual)}")

    def _is_solvent(self, account_id: int, after: Mapping[int, Totals]) -> bool:
        locked = self._accounts.get(account_id)
        return locked is not None and after.get(account_id, locked.totals).available_min >= 0

    def _result_of(self, call: Call) -> Done:
        done = self._results.get(step_key(call))
        if done is None:
            raise AnsweredBefore
        return done

    def _totals_after_hold(self, plan: LockedPlan, fresh: Sequence[Batch]) -> dict[int, Totals]:
        net = net_by_account([posting for batch in fresh for posting in batch.postings])
        return {each: after_hold(self._accounts[each].totals, plan.net.get(each, NOTHING), change) for each, change in net.items()}

    def _totals_after_end(self, plan: LockedPlan, operation: Operation) -> dict[int, Totals]:
        return {each: after_final(self._accounts[each].totals, operation, net) for each, net in plan.net.items()}

    def _note(self, call: Call, plan: LockedPlan, fresh: Sequence[Batch], totals: Mapping[int, Totals]) -> Done:
        for batch in fresh:
            self._add_batch(call.plan_id, plan, batch)
        at = max(self._now, plan.changed_at, *(self._accounts[account_id].last_at for account_id in totals))
        plan.step(call.operation, at)
        key = step_key(call)
        done = self._results[key] = Done(self._add_entries(key, totals, at), at)
        return self._add_step(call, key, done)

    def _add_batch(self, plan_id: str, plan: LockedPlan, batch: Batch) -> None:
        plan.add(batch)
        for position, (source, target, amount, currency, description) in enumerate(batch.postings):
            self._postings.append(
                PostingRow(
                    plan_id=plan_id,
                    batch_id=batch.batch_id,
                    position=position,
                    source=source,
                    target=target,
                    amount=amount,
                    currency=currency,
                    description=description,
                )
            )

    def _add_entries(self, key: StepKey, totals: Mapping[int, Totals], at: datetime) -> dict[int, AccountState]:
        """An entry for each account, in whose order the step names them."""
        plan_id, operation, batch_id = key
        affected: dict[int, AccountState] = {}
        for account_id, after in totals.items():
            locked = self._accounts[account_id]
            affected[account_id] = AccountState(locked.account, after)
            posted, available_min, available_max = after
            self._entries.append(
                EntryRow(
                    account_id=account_id,
                    entry=locked.add_entry(after, at),
                    at=at,
                    plan_id=plan_id,
                    operation=operation.value,
                    batch_id=batch_id,
                    posted=posted,
                    available_min=available_min,
                    available_max=available_max,
                )
            )
        return affected

    def _add_step(self, call: Call, key: StepKey, done: Done) -> Done:
        plan_id, operation, batch_id = key
        self._steps.append(
            StepRow(
                plan_id=plan_id,
                operation=operation.value,
                batch_id=batch_id,
                at=done.at,
                accounts=text_array(done.affected),
                entries=text_array(self._accounts[account_id].entries for account_id in done.affected),
                actor=encode(call.actor),
            )
        )
        return done

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """One statement for each kind of row that there is, in one round trip.

        New plans are sorted: of two transactions with the same ones, one waits at the first. Raises UniqueViolation then.
        """
        plans = sorted(self._plans.items())
        new = [PlanRow(plan_id, plan.state, plan.held_at, plan.changed_at) for plan_id, plan in plans if plan.is_new and plan.state]
        moved = [
            PlanUpdate(plan_id, plan.state, plan.changed_at) for plan_id, plan in plans if not plan.is_new and plan.changed and plan.state
        ]
        accounts = [locked.step() for locked in self._accounts.values() if locked.changed]
        with cursor.connection.pipeline():
            for rows in (new, moved, self._postings, self._steps, self._entries, accounts):
                write(cursor, rows)
