"""A transfer between two accounts by two people: held, committed and audited in one transaction (design §9, §11)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.errors import DeadlockDetected, UniqueViolation

from kvitt.errors import PlanRefused
from kvitt.hub.ledger.calls import Account, Call, Done, Insolvent, State
from kvitt.hub.ledger.post import post, reserved
from kvitt.hub.ledger.read import Ledger
from kvitt.kernel.actor import CLI, Actor
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.money import Minor
from kvitt.rules.ledger import Batch, InvalidPostings, InvalidRequest, Operation, PlanState, Posting, Refusal, Totals, malformed, unfit

_SQL = load("ledger", "kvitt.store")
_ATTEMPTS: Final = 5


class Transfer(Struct, frozen=True):
    """`amount` in whole minor units from `source` to `target`. The plan of this name holds it; under the same name it is done once."""

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
    """What both accounts had before and have after it, by id. `changed`: it was not done before under this name."""

    before: tuple[State, ...]
    after: tuple[State, ...]
    changed: bool


def transfer(connection: Connection, clock: Clock, wanted: Transfer, operator: Operator | None) -> Transferred:
    """Moves the money. `operator` None: a dry run, which does the same and then takes it back.

    The same transfer again moves nothing. Raises PlanRefused in the ledger's words when it refuses, NeedsSecondPerson, LockNotAvailable
    and other psycopg errors where nothing was done, ResultUnknown with the plan where that could not be found out.
    """
    if operator is not None:
        operator.need_second_person()
    for _ in range(_ATTEMPTS - 1):
        try:
            return _once(connection, clock, wanted, operator)
        except (UniqueViolation, DeadlockDetected, _HeldMeanwhile):
            continue
    return _once(connection, clock, wanted, operator)


class _HeldMeanwhile(Exception):
    """Somebody else held the plan for the first time after it was looked for; begun anew, it is seen."""


def _once(connection: Connection, clock: Clock, wanted: Transfer, operator: Operator | None) -> Transferred:
    with _changing(connection, wanted, operator), connection.cursor() as cursor:
        hold, commit = wanted.calls(None if operator is None else Actor(CLI, operator.name))
        if wanted.amount < 1:
            raise PlanRefused("The amount must be positive")
        if refusal := malformed(hold.plan_id, hold.operation, hold.batches):
            raise _refused(refusal)
        if kept := reserved(cursor, [(0, hold)]):
            raise _refused(kept[0])
        stood = _state_of(cursor, wanted.plan_id)
        there = _standing(cursor, wanted)
        if stood is None and (refusal := unfit(hold.plan_id, hold.batches[0])):
            raise _refused(refusal)
        for call in (hold, commit) if stood is None else (commit,):
            answer = post(cursor, [(0, call)], clock)[0]
            if not isinstance(answer, Done):
                raise _HeldMeanwhile if call is hold and stood is None and _state_of(cursor, wanted.plan_id) else _refused(answer)
        after = _states(connection, wanted)
        changed = stood is not PlanState.COMMITTED
        if operator is not None and changed:
            note(cursor, clock(), "ledger transfer", operator, wanted.plan_id)
        return Transferred(there, after, changed)


def _changing(connection: Connection, wanted: Transfer, operator: Operator | None) -> AbstractContextManager[object]:
    """The transaction in which it is done; a dry run's leaves nothing."""
    if operator is None:
        return connection.transaction(force_rollback=True)
    return transaction(connection, "plan", wanted.plan_id)


def _state_of(cursor: psycopg.Cursor[Any], plan_id: str) -> PlanState | None:
    """How the plan stands, locked, if it was held before: then what is left is its end, which is answered as the first time."""
    row = cursor.execute(_SQL.lock_plans, [[plan_id]], binary=True).fetchone()
    return None if row is None else PlanState(row[1])


def _standing(cursor: psycopg.Cursor[Any], wanted: Transfer) -> tuple[State, ...]:
    """What both accounts have, locked: nobody else comes between this and what they have after it."""
    rows = cursor.execute(_SQL.lock_accounts, [sorted({wanted.source, wanted.target})], binary=True)
    return _ordered({row[0]: State(Account(*row[:4]), Totals(*row[4:7])) for row in rows}, wanted)


def _states(connection: Connection, wanted: Transfer) -> tuple[State, ...]:
    return _ordered(Ledger(connection).states({wanted.source, wanted.target}), wanted)


def _ordered(found: Mapping[int, State], wanted: Transfer) -> tuple[State, ...]:
    return tuple(found[account_id] for account_id in (wanted.source, wanted.target) if account_id in found)


def _refused(answer: Refusal | Insolvent) -> PlanRefused:
    if isinstance(answer, InvalidPostings):
        return PlanRefused("; ".join(text for _, text in answer.wrong))
    return PlanRefused(answer.error if isinstance(answer, InvalidRequest) else "an account would not stay solvent")
