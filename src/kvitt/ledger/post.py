"""Posts batches of calls: plans are held, committed and rolled back and accounts made, in one transaction (design §4; payouts §4.4).

The plans and accounts that calls name are locked, the calls applied to them in memory, one after the other, and what came of all of them is
written set by set.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from kvitt.errors import ResultUnknown
from kvitt.kernel.actor import encode
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import BatchExecutor, Locks, wait_shortly
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch_later
from kvitt.kernel.money import NOTHING, Minor
from kvitt.kernel.rows import write_all
from kvitt.ledger.accounts import make_accounts
from kvitt.ledger.calls import Account, AccountState, Call, CallResult, Done, Insolvent, LedgerCommand, LedgerResult, NewAccount, StepKey
from kvitt.ledger.repository import (
    SQL,
    AccountStep,
    EntryRow,
    LockedAccountRow,
    LockedPlanRow,
    PlanRow,
    PlanUpdate,
    PostingRow,
    StepRow,
    StoredPosting,
    batches_by_plan,
    lock_accounts,
    stored_results,
)
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
    incomparable,
    malformed,
    net_by_account,
    out_of_order,
    overflow,
    unknown_accounts,
)

_ATTEMPTS: Final = 5
_EVER = datetime.min.replace(tzinfo=UTC)
ReservedPlans = Callable[[Connection, Collection[str]], Mapping[str, str]]
"""Those of some plan ids that are kept for somebody else, and for whom: calls about them are refused."""


def step_key(call: Call) -> StepKey:
    """Under what the answer to a call is found again."""
    return call.plan_id, call.operation, call.batches[0].batch_id if call.operation is Operation.HOLD else INT64_MAX


def accounts_of(call: Call) -> set[int]:
    """The accounts between which a call moves money."""
    return {account for batch in call.batches for posting in batch.postings for account in posting[:2]}


class LockedAccount:
    """An account whose row is locked; nothing that happens to it is earlier than `last_at`."""

    def __init__(self, row: LockedAccountRow) -> None:
        self.account, self.totals, self.entries, self.last_at = row.account, row.totals, row.entries, row.last_at
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
        if refusal := unknown_accounts(fresh, self._currencies) or incomparable(call.solvent, call.batches, self._currencies):
            return refusal
        totals = self._totals_after_hold(plan, fresh) if call.operation is Operation.HOLD else self._totals_after_end(plan, call.operation)
        if call.solvent is not None and not self._is_solvent(call.solvent, totals):
            return Insolvent(call.solvent)
        if refusal := overflow(call.plan_id, totals):
            return refusal
        return self._note(call, plan, fresh, totals)

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
                accounts=_text_array(done.affected),
                entries=_text_array(self._accounts[account_id].entries for account_id in done.affected),
                actor=encode(call.actor),
            )
        )
        return done

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """All rows in one statement.

        New plans are sorted: of two transactions with the same ones, one waits at the first. Raises UniqueViolation then.
        """
        plans = sorted(self._plans.items())
        new = [PlanRow(plan_id, plan.state, plan.held_at, plan.changed_at) for plan_id, plan in plans if plan.is_new and plan.state]
        moved = [
            PlanUpdate(plan_id, plan.state, plan.changed_at) for plan_id, plan in plans if not plan.is_new and plan.changed and plan.state
        ]
        accounts = [locked.step() for locked in self._accounts.values() if locked.changed]
        write_all(cursor, (new, moved, self._postings, self._steps, self._entries, accounts))


def post(cursor: psycopg.Cursor[Any], calls: Sequence[tuple[int, Call]], clock: Clock) -> dict[int, CallResult]:
    """Does well-formed calls, each with its place, inside the transaction of `cursor`; returns their answers by place.

    The clock is read under the locks. Raises UniqueViolation when another transaction held one of the plans for the first time
    meanwhile: begin anew.
    """
    with cursor.connection.pipeline():
        locked = _lock(cursor.connection, [call for _, call in calls], clock)
    return _post_under(locked(), cursor, calls)


def _post_under(ledger: LedgerTransaction, cursor: psycopg.Cursor[Any], calls: Sequence[tuple[int, Call]]) -> dict[int, CallResult]:
    """Does calls under the locks of what they name."""
    results: dict[int, CallResult] = {}
    repeated: dict[int, StepKey] = {}
    for place, call in calls:
        try:
            results[place] = ledger.apply(call)
        except AnsweredBefore:
            repeated[place] = step_key(call)
    if repeated:
        stored = stored_results(cursor.connection, set(repeated.values()))
        results.update({place: stored[key] for place, key in repeated.items()})
    ledger.write(cursor)
    return results


def _lock(connection: Connection, calls: Sequence[Call], clock: Clock) -> Callable[[], LedgerTransaction]:
    """Locks, in a pipeline, the plans, then the accounts, that calls name; returns what takes them in and reads the clock.

    Accounts that plans have and no call names are locked then. A plan that nobody has held yet has no state.
    """
    plan_ids = sorted({call.plan_id for call in calls})
    named = {call.solvent for call in calls if call.solvent is not None}.union(*map(accounts_of, calls))
    locked = fetch_later(connection, LockedPlanRow, SQL.lock_plans, [plan_ids])
    postings = fetch_later(connection, StoredPosting, SQL.postings_of_plans, [plan_ids])
    known = fetch_later(connection, LockedAccountRow, SQL.lock_accounts, [sorted(named)], account=Account, totals=Totals)

    def taken_in() -> LedgerTransaction:
        held = postings()
        batches = batches_by_plan(held) if held else {}
        plans = {plan_id: LockedPlan(None) for plan_id in plan_ids}
        plans |= {row.plan_id: LockedPlan(PlanState(row.state), row.changed_at, batches.get(row.plan_id, ())) for row in locked()}
        accounts = known()
        if others := set[int]().union(*(plan.net for plan in plans.values())) - named:
            accounts += lock_accounts(connection, others)
        return LedgerTransaction(plans, {row.account.account_id: LockedAccount(row) for row in accounts}, clock())

    return taken_in


class LedgerWriter:
    """Executes batches of commands on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, reserved: ReservedPlans | None = None) -> None:
        """`reserved` finds the plans that are kept for somebody else; None: there are none."""
        self._connection, self._clock, self._reserved = connection, clock, reserved
        self._executor = BatchExecutor(self, names=_names, attempts=_ATTEMPTS)

    def execute(self, batch: Sequence[LedgerCommand]) -> list[LedgerResult | Exception]:
        """One result per command, all of them durable on return; a refused call has done nothing and leaves its neighbours alone.

        A command on which kvitt itself fails has the exception as its result: a psycopg error where nothing was done, ResultUnknown where
        that could not be found out. Raises psycopg errors when the connection is gone, and nothing of the batch was done.

        A command that needs what a stranger has locked has LockNotAvailable as its result; its neighbours do not wait for it.
        """
        return self._executor.execute(batch)

    def run(self, batch: Sequence[LedgerCommand], locks: Locks) -> list[LedgerResult | Exception]:
        """Does commands in one transaction. Raises UniqueViolation where another one held a plan of ours for the first time meanwhile."""
        calls = {place: each for place, each in enumerate(batch) if isinstance(each, Call)}
        results: dict[int, LedgerResult] = {**refused_at_once(self._connection, calls, self._reserved)}
        sound = [(place, each) for place, each in calls.items() if place not in results]
        try:
            self._transact(batch, sound, locks, results)
        except ResultUnknown as unknown:
            return [_unknown(command, results[place], unknown) for place, command in enumerate(batch)]
        fault_point("ledger.after_commit")
        return [results[place] for place in range(len(batch))]

    def failed(self, command: LedgerCommand, error: Exception) -> LedgerResult | Exception:  # noqa: ARG002 - its caller knows what it asked for
        """The error is the result; those before it have been done."""
        return error

    def _transact(
        self, batch: Sequence[LedgerCommand], sound: Sequence[tuple[int, Call]], locks: Locks, results: dict[int, LedgerResult]
    ) -> None:
        """Puts the result of each command that is no refusal yet into `results`, by its place. `sound` are the calls among them.

        Calls alone are locked in the round trip that begins it. Where accounts are made these come first: who waits for a request key has
        locked nothing that its owner may need.
        """
        new = {place: each for place, each in enumerate(batch) if isinstance(each, NewAccount)}
        locked: list[Callable[[], LedgerTransaction]] = []

        def begin() -> None:
            if locks is Locks.FREE:
                wait_shortly(self._connection)
            if sound and not new:
                locked.append(_lock(self._connection, [call for _, call in sound], self._clock))

        with transaction(self._connection, first=begin), self._connection.cursor() as cursor:
            if new:
                results.update(zip(new, make_accounts(self._connection, list(new.values()), self._clock()), strict=True))
            if sound:
                results.update(_post_under(locked[0](), cursor, sound) if locked else post(cursor, sound, self._clock))
            fault_point("ledger.before_commit")


def refused_at_once(connection: Connection, calls: Mapping[int, Call], reserved: ReservedPlans | None) -> dict[int, CallResult]:
    """Refusals, by place, of calls that are malformed, or that are about plans kept for somebody else."""
    refused: dict[int, CallResult] = {}
    for place, call in calls.items():
        if refusal := malformed(call.plan_id, call.operation, call.batches):
            refused[place] = refusal
    sound = {place: call.plan_id for place, call in calls.items() if place not in refused}
    kept = reserved(connection, sound.values()) if reserved and sound else {}
    return refused | {
        place: InvalidRequest(f"Plan id ({plan_id}) is kept for {kept[plan_id]}") for place, plan_id in sound.items() if plan_id in kept
    }


def _names(command: LedgerCommand) -> set[str | int]:
    """The plan and the accounts that a command names."""
    return {command.plan_id, *accounts_of(command)} if isinstance(command, Call) else set()


def _unknown(command: LedgerCommand, result: LedgerResult, unknown: ResultUnknown) -> ResultUnknown:
    """Names what to look for after a command of which it is not known whether it was done."""
    if isinstance(command, Call):
        named = ResultUnknown("plan", command.plan_id)
    else:
        named = ResultUnknown("account", str(result.account_id)) if isinstance(result, Account) else ResultUnknown()
    named.__cause__ = unknown.__cause__
    return named


def _text_array(numbers: Iterable[int]) -> str:
    """Numbers as PostgreSQL writes an array of them."""
    return "{" + ",".join(map(str, numbers)) + "}"
