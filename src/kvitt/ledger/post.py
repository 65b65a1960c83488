"""Posts batches of calls: plans are held, committed and rolled back and accounts made, in one transaction (design §4; payouts §4.4)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg

from kvitt.errors import ResultUnknown
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import BatchExecutor, Locks, wait_shortly
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.ledger import repository
from kvitt.ledger.calls import (
    Account,
    Call,
    CallResult,
    Command,
    NewAccount,
    Result,
    StepKey,
)
from kvitt.ledger.rules import MAX_CURRENCY, MAX_DESCRIPTION, InvalidRequest, PlanState, malformed
from kvitt.ledger.transaction import AnsweredBefore, LedgerTransaction, LockedAccount, LockedPlan, accounts_of, step_key

_ATTEMPTS: Final = 5
ReservedPlans = Callable[[Connection, Collection[str]], Mapping[str, str]]
"""Those of some plan ids that are kept for somebody else, and for whom: calls about them are refused."""


def post(cursor: psycopg.Cursor[Any], calls: Sequence[tuple[int, Call]], clock: Clock) -> dict[int, CallResult]:
    """Does well-formed calls, each with its place, inside the transaction of `cursor`; returns their answers by place.

    The clock is read under the locks. Raises UniqueViolation when another transaction held one of the plans for the first time
    meanwhile: begin anew.
    """
    connection = cursor.connection
    ledger = _locked(connection, [call for _, call in calls], clock)
    results: dict[int, CallResult] = {}
    repeated: dict[int, StepKey] = {}
    for place, call in calls:
        try:
            results[place] = ledger.apply(call)
        except AnsweredBefore:
            repeated[place] = step_key(call)
    if repeated:
        stored = repository.stored_results(connection, set(repeated.values()))
        results.update({place: stored[key] for place, key in repeated.items()})
    ledger.write(cursor)
    return results


def _locked(connection: Connection, calls: Sequence[Call], clock: Clock) -> LedgerTransaction:
    """Locks the plans, then the accounts, that calls name and that their plans have, and reads the clock."""
    plans = _lock_plans(connection, {call.plan_id for call in calls})
    named = {call.solvent for call in calls if call.solvent is not None}
    named.update(*(accounts_of(call) for call in calls), *(plan.net for plan in plans.values()))
    accounts = {row.account_id: LockedAccount(row) for row in repository.lock_accounts(connection, named)}
    return LedgerTransaction(plans, accounts, clock())


def _lock_plans(connection: Connection, plan_ids: set[str]) -> dict[str, LockedPlan]:
    """The plans by id; one that nobody has held yet has no state."""
    rows = repository.lock_plans(connection, plan_ids)
    batches = repository.batches_of(connection, [row.plan_id for row in rows]) if rows else {}
    plans = {row.plan_id: LockedPlan(PlanState(row.state), row.changed_at, batches.get(row.plan_id, ())) for row in rows}
    return plans | {plan_id: LockedPlan(None) for plan_id in plan_ids - plans.keys()}


class LedgerWriter:
    """Executes batches of commands on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, reserved: ReservedPlans | None = None) -> None:
        """`reserved` finds the plans that are kept for somebody else; None: there are none."""
        self._connection, self._clock, self._reserved = connection, clock, reserved
        self._executor = BatchExecutor(self, names=_names, attempts=_ATTEMPTS)

    def execute(self, batch: Sequence[Command]) -> list[Result | Exception]:
        """One result per command, all of them durable on return; a refused call has done nothing and leaves its neighbours alone.

        A command on which kvitt itself fails has the exception as its result: a psycopg error where nothing was done, ResultUnknown where
        that could not be found out. Raises psycopg errors when the connection is gone, and nothing of the batch was done.

        A command that needs what a stranger has locked has LockNotAvailable as its result; its neighbours do not wait for it.
        """
        return self._executor.execute(batch)

    def run(self, batch: Sequence[Command], locks: Locks) -> list[Result | Exception]:
        """Does commands in one transaction. Raises UniqueViolation where another one held a plan of ours for the first time meanwhile."""
        results: dict[int, Result] = {}
        try:
            with transaction(self._connection), self._connection.cursor() as cursor:
                if locks is Locks.FREE:
                    wait_shortly(cursor)
                self._do(cursor, batch, results)
                fault_point("ledger.before_commit")
        except ResultUnknown as unknown:
            return [_unknown(command, results[place], unknown) for place, command in enumerate(batch)]
        fault_point("ledger.after_commit")
        return [results[place] for place in range(len(batch))]

    def failed(self, command: Command, error: Exception) -> Result | Exception:  # noqa: ARG002 - its caller knows what it asked for
        """The error is the result; those before it have been done."""
        return error

    def _do(self, cursor: psycopg.Cursor[Any], batch: Sequence[Command], results: dict[int, Result]) -> None:
        """Puts the result of each command into `results`, by its place."""
        new = {place: each for place, each in enumerate(batch) if isinstance(each, NewAccount)}
        results.update(zip(new, _make_accounts(self._connection, list(new.values()), self._clock()), strict=True))
        calls = {place: each for place, each in enumerate(batch) if isinstance(each, Call)}
        results.update(refused_at_once(self._connection, calls, self._reserved))
        sound = [(place, each) for place, each in calls.items() if place not in results]
        if sound:
            results.update(post(cursor, sound, self._clock))


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


def _names(command: Command) -> set[str | int]:
    """The plan and the accounts that a command names."""
    return {command.plan_id, *accounts_of(command)} if isinstance(command, Call) else set()


def _unknown(command: Command, result: Result, unknown: ResultUnknown) -> ResultUnknown:
    """Names what to look for after a command of which it is not known whether it was done."""
    if isinstance(command, Call):
        named = ResultUnknown("plan", command.plan_id)
    else:
        named = ResultUnknown("account", str(result.account_id)) if isinstance(result, Account) else ResultUnknown()
    named.__cause__ = unknown.__cause__
    return named


def _make_accounts(connection: Connection, wanted: Sequence[NewAccount], now: datetime) -> list[Result]:
    """One account per request, in order; a request key that was used before leads to the account of then, if it asked for the same."""
    results: list[Result | None] = [_wrong(each) for each in wanted]
    sound = [(place, each) for place, each in enumerate(wanted) if results[place] is None]
    if sound:
        accounts = _accounts_of(connection, [each for _, each in sound], now)
        for (place, each), made in zip(sound, accounts, strict=True):
            same = (made.currency, made.description) == (each.currency, each.description)
            results[place] = made if same else InvalidRequest("The request key was used for another account")
    return [each for each in results if each is not None]


def _accounts_of(connection: Connection, wanted: Sequence[NewAccount], now: datetime) -> list[Account]:
    """The accounts of requests that break no rule: one for each without a key, one for each key."""
    once: dict[str, NewAccount] = {}
    fresh = [each for each in wanted if each.request_key is None or once.setdefault(each.request_key, each) is each]
    made = repository.add_accounts(connection, fresh, now)
    by_key = repository.accounts_by_key(connection, list(once))
    keyless = iter([row.account() for row in made if row.request_key is None])
    return [next(keyless) if each.request_key is None else by_key[each.request_key] for each in wanted]


def _wrong(wanted: NewAccount) -> InvalidRequest | None:
    if wrong := wrong_id(wanted.currency, MAX_CURRENCY):
        return InvalidRequest(f"Currency code {wrong}")
    if wanted.description is not None and (wrong := wrong_text(wanted.description, MAX_DESCRIPTION)):
        return InvalidRequest(f"Description {wrong}")
    return None
