"""Transfers between two accounts by two people: held, committed and audited in one transaction (design §9, §11)."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.errors import DeadlockDetected, UniqueViolation

from kvitt.errors import PlanRefused
from kvitt.kernel.actor import CLI, Actor
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.money import Minor
from kvitt.kernel.operators import Operator, note
from kvitt.ledger.accounts import states_of
from kvitt.ledger.calls import (
    AccountState,
    Call,
    CallResult,
    Done,
)
from kvitt.ledger.post import ReservedPlans, post, refused_at_once
from kvitt.ledger.repository import lock_accounts, lock_plans
from kvitt.ledger.rules import (
    Batch,
    InvalidPostings,
    InvalidRequest,
    Operation,
    PlanState,
    Posting,
    unfit,
)

_ATTEMPTS: Final = 5


class Transfer(Struct, frozen=True):
    """`amount` from `source` to `target`, both in `currency`. The plan of this name holds it; under the same name it is done once."""

    plan_id: str
    source: int
    target: int
    amount: Minor
    currency: str
    description: str

    def calls(self, actor: Actor | None) -> tuple[Call, Call]:
        """The hold of its one posting, and the commit."""
        batches = (Batch(1, (Posting(self.source, self.target, self.amount, self.currency, self.description),)),)
        return Call(self.plan_id, Operation.HOLD, batches, actor=actor), Call(self.plan_id, Operation.COMMIT, batches, actor=actor)


class Transferred(Struct, frozen=True):
    """Both accounts before and after a transfer, by id. `changed`: it was not done before under this name."""

    before: tuple[AccountState, ...]
    after: tuple[AccountState, ...]
    changed: bool


def transfer(
    connection: Connection, clock: Clock, wanted: Transfer, operator: Operator | None, reserved: ReservedPlans | None = None
) -> Transferred:
    """Moves the money. `operator` None: a dry run, which does the same and then takes it back.

    The same transfer again moves nothing; `reserved` finds plans that are kept for somebody else. Raises PlanRefused in the ledger's words
    when it refuses, NeedsSecondPerson, LockNotAvailable and other psycopg errors where nothing was done, ResultUnknown with the plan where
    that could not be found out.
    """
    if operator is not None:
        operator.need_second_person()
    for _ in range(_ATTEMPTS - 1):
        try:
            return _once(connection, clock, wanted, operator, reserved)
        except (UniqueViolation, DeadlockDetected, _HeldMeanwhile):
            continue
    return _once(connection, clock, wanted, operator, reserved)


class _HeldMeanwhile(Exception):
    """Somebody else held the plan for the first time after it was looked for; begun anew, it is seen."""


def _once(connection: Connection, clock: Clock, wanted: Transfer, operator: Operator | None, reserved: ReservedPlans | None) -> Transferred:
    with _changing(connection, wanted, operator), connection.cursor() as cursor:
        hold, commit = wanted.calls(None if operator is None else Actor(CLI, operator.name))
        _refuse_at_once(connection, wanted, hold, reserved)
        stood = _state_of(connection, wanted.plan_id)
        before = _locked_states(connection, wanted)
        if stood is None and (refusal := unfit(hold.plan_id, hold.batches[0])):
            raise _refused(refusal)
        _post(cursor, (hold, commit) if stood is None else (commit,), clock)
        changed = stood is not PlanState.COMMITTED
        if operator is not None and changed:
            note(cursor, clock(), "ledger transfer", operator, wanted.plan_id)
        return Transferred(before, _ordered(states_of(connection, _accounts(wanted)), wanted), changed)


def _changing(connection: Connection, wanted: Transfer, operator: Operator | None) -> AbstractContextManager[object]:
    """The transaction in which it is done; a dry run's leaves nothing."""
    if operator is None:
        return connection.transaction(force_rollback=True)
    return transaction(connection, "plan", wanted.plan_id)


def _refuse_at_once(connection: Connection, wanted: Transfer, hold: Call, reserved: ReservedPlans | None) -> None:
    if wanted.amount < 1:
        raise PlanRefused("The amount must be positive")
    for refusal in refused_at_once(connection, {0: hold}, reserved).values():
        raise _refused(refusal)


def _post(cursor: psycopg.Cursor[Any], calls: Collection[Call], clock: Clock) -> None:
    """Does the hold, if it was not held before, and the commit. Raises PlanRefused, _HeldMeanwhile."""
    for call in calls:
        result = post(cursor, [(0, call)], clock)[0]
        if not isinstance(result, Done):
            held_meanwhile = call.operation is Operation.HOLD and _state_of(cursor.connection, call.plan_id)
            raise _HeldMeanwhile if held_meanwhile else _refused(result)


def _state_of(connection: Connection, plan_id: str) -> PlanState | None:
    """The state of the plan, locked, if it was held before: then what is left is its end, which is answered as the first time."""
    return next((PlanState(row.state) for row in lock_plans(connection, [plan_id])), None)


def _locked_states(connection: Connection, wanted: Transfer) -> tuple[AccountState, ...]:
    """Both accounts, locked: nobody else comes between this and what they have after it."""
    return _ordered(
        {row.account.account_id: AccountState(row.account, row.totals) for row in lock_accounts(connection, _accounts(wanted))}, wanted
    )


def _accounts(wanted: Transfer) -> set[int]:
    return {wanted.source, wanted.target}


def _ordered(found: Mapping[int, AccountState], wanted: Transfer) -> tuple[AccountState, ...]:
    return tuple(found[account_id] for account_id in (wanted.source, wanted.target) if account_id in found)


def _refused(result: CallResult) -> PlanRefused:
    if isinstance(result, InvalidPostings):
        return PlanRefused("; ".join(text for _, text in result.wrong))
    return PlanRefused(result.error if isinstance(result, InvalidRequest) else "an account would not stay solvent")
