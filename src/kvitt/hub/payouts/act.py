"""Act: a batch of commands makes and moves payouts, with their plans in our own ledger, in one transaction (design §4, §9)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg
from msgspec.structs import replace

from kvitt.errors import InsufficientFunds, InvalidPayout, KvittError, PayoutAlreadyExists, PayoutNotFound, ResultUnknown
from kvitt.hub.ledger.calls import Answer, Done, Insolvent
from kvitt.hub.ledger.post import post
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.payouts.changes import PayoutUnitOfWork
from kvitt.hub.payouts.commands import Cancel, Command, Create, Republish, actor_of
from kvitt.hub.payouts.decide import Decision, Todo, decide, failed, to_create, why
from kvitt.hub.payouts.stored import Keeper, Standing, events, load, lock
from kvitt.kernel.actor import Actor
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import BatchExecutor, Locks
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.operators import note
from kvitt.kernel.queries import load as load_queries
from kvitt.rules.ledger import Overflow, PlanState, Refusal
from kvitt.rules.payouts import (
    TOO_MUCH,
    Payout,
    PayoutStatus,
    other_currencies,
    plan_id_of,
    reversal_plan_id_of,
)

_SQL, _DEFERRED = load_queries("payouts"), load_queries("deferred")
_ATTEMPTS = 5
_TRIES: Final = range(1, 65)
"""The attempts of which one finds a name for its plan that nobody has taken."""

Result = Payout | Exception
"""A payout as it stands after its command, also where that had nothing to do; or why the command was refused."""


class Act:
    """Executes batches on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._executor: BatchExecutor[Command, Result] = BatchExecutor(self, names=_names, attempts=_ATTEMPTS)

    def execute(self, batch: Sequence[Command]) -> list[Result]:
        """One result per command, all of them durable on return; a refused command has done nothing and leaves its neighbours alone.

        Commands about one payout are executed one after the other, in transactions of their own. What the database could not do
        gives the psycopg error, and nothing was done of that command; ResultUnknown names the payout of which that could not be found out.
        """
        results: dict[int, Result] = {}
        for places in _rounds(batch):
            try:
                results.update(zip(places, self._executor.execute([batch[place] for place in places]), strict=True))
            except psycopg.Error as error:
                # The rounds before have been done, and their callers are told that.
                self._connection.close()
                results.update(dict.fromkeys(places, error))
        return [results[place] for place in range(len(batch))]

    def run(self, batch: Sequence[Command], locks: Locks) -> list[Result]:
        """Does commands about different payouts in one transaction."""
        try:
            with transaction(self._connection), self._connection.cursor() as cursor:
                if locks is Locks.FREE:
                    cursor.execute(_DEFERRED.wait_shortly)
                results = self._do(cursor, batch)
                fault_point("payouts.before_commit")
        except ResultUnknown:
            return [ResultUnknown("payout", command.payout_id) for command in batch]
        fault_point("payouts.after_commit")
        return results

    def failed(self, command: Command, error: Exception) -> Result:  # noqa: ARG002 - its caller knows what it asked for
        """The error is the answer: its caller is told."""
        return error

    def _do(self, cursor: psycopg.Cursor[Any], batch: Sequence[Command]) -> list[Result]:
        payout_ids = [command.payout_id for command in batch]
        lock(cursor, payout_ids)
        there = load(cursor, payout_ids)
        taken = _plans_there(cursor, batch, there)
        decided = [_decide(command, there.get(command.payout_id), taken) for command in batch]
        actors = [actor_of(command) for command in batch]
        calls = [
            replace(call, actor=actor) for each, actor in zip(decided, actors, strict=True) if isinstance(each, Todo) for call in each.calls
        ]
        answers = post(cursor, list(enumerate(calls)), self._clock) if calls else {}
        now = self._clock()
        given, changes = iter(answers[place] for place in range(len(calls))), PayoutUnitOfWork(now)
        results = [_result(cursor, each, actor, given, changes) for each, actor in zip(decided, actors, strict=True)]
        _tell_again(cursor, changes, [each for each, result in zip(batch, results, strict=True) if isinstance(result, Payout)])
        changes.write(cursor)
        for command, each, result in zip(batch, decided, results, strict=True):
            operator = None if isinstance(command, Create) else command.operator
            if operator and isinstance(result, Payout) and (isinstance(each, Todo) or isinstance(command, Republish)):
                note(cursor, now, f"payout {type(command).__name__.lower()}", operator, command.payout_id)
        return results


def _names(command: Command) -> frozenset[str]:
    return frozenset((command.payout_id,))


def _rounds(batch: Sequence[Command]) -> Iterator[list[int]]:
    """The places of commands in groups in which no payout is named twice, in their order."""
    waiting = list(range(len(batch)))
    while waiting:
        seen: set[str] = set()
        later: list[int] = []
        group: list[int] = []
        for place in waiting:
            (later if batch[place].payout_id in seen else group).append(place)
            seen.add(batch[place].payout_id)
        yield group
        waiting = later


Taken = Mapping[str, PlanState]
"""Plans that others have held under names that ours would have, in some attempt."""


def _plans_there(cursor: psycopg.Cursor[Any], batch: Sequence[Command], there: Mapping[str, Standing]) -> Taken:
    """The first names are looked for of payouts that are to be made; all that may be needed, of those that are to be reversed."""
    first = {plan_id_of(each.payout_id): each.payout_id for each in batch if isinstance(each, Create) and each.payout_id not in there}
    back = [each.payout_id for each in batch if isinstance(each, Cancel) and _is_confirmed(there.get(each.payout_id))]
    taken = _states(cursor, [*first, *(reversal_plan_id_of(payout_id, attempt) for payout_id in back for attempt in _TRIES)])
    again = [payout_id for plan_id, payout_id in first.items() if taken.get(plan_id) is PlanState.ROLLED_BACK]
    return {**taken, **_states(cursor, [plan_id_of(payout_id, attempt) for payout_id in again for attempt in _TRIES])}


def _is_confirmed(standing: Standing | None) -> bool:
    return standing is not None and standing.payout.status is PayoutStatus.CONFIRMED


def _states(cursor: psycopg.Cursor[Any], plan_ids: Sequence[str]) -> Taken:
    return {row[0]: PlanState(row[1]) for row in cursor.execute(_SQL.plans_there, [plan_ids], binary=True)} if plan_ids else {}


def _first_free(name: Callable[[str, int], str], payout_id: str, taken: Taken) -> int | None:
    """The first attempt whose plan nobody has held; None when the names have run out."""
    return next((attempt for attempt in _TRIES if name(payout_id, attempt) not in taken), None)


def _to_create(command: Create, taken: Taken) -> Decision:
    """A plan that was rolled back holds nothing, so the next attempt has another one. One that is held, or was committed, is not gone
    round: it may be the same payout, made by the service that kvitt took over from.
    """
    attempt = _first_free(plan_id_of, command.payout_id, taken)
    before = [taken[plan_id_of(command.payout_id, earlier)] for earlier in range(1, attempt or 1)]
    if attempt is None or any(state is not PlanState.ROLLED_BACK for state in before):
        return failed("hold", command.payout_id, "a plan of this name is there already")
    return to_create(command.draft, attempt)


def _decide(command: Command, standing: Standing | None, taken: Taken) -> Decision:
    if isinstance(command, Create):
        if standing is not None:
            return PayoutAlreadyExists(f"there is a payout with the id {command.payout_id}")
        return _to_create(command, taken)
    if standing is None:
        return PayoutNotFound(f"Payout not found, payoutId='{command.payout_id}'")
    attempt = _first_free(reversal_plan_id_of, command.payout_id, taken)
    decided = decide(command, standing, attempt or 1)
    if isinstance(decided, Todo) and decided.calls and standing.keeper is not Keeper.OWN:
        return failed(decided.act, command.payout_id, "its plan is in another ledger, which is not set")
    return decided


def _result(
    cursor: psycopg.Cursor[Any], decided: Decision, actor: Actor | None, answers: Iterator[Answer], changes: PayoutUnitOfWork
) -> Result:
    """What became of a command; what it changed is noted."""
    if not isinstance(decided, Todo):
        return decided
    given = [next(answers) for _ in decided.calls]
    for place, answer in enumerate(given):
        if not isinstance(answer, Done):
            refused = _refused(cursor, decided, answer)
            if place:
                # The first half of a reversal was held, and the second is refused: nothing of this transaction may stay.
                raise refused
            return refused
    done_at = [answer.at for answer in given if isinstance(answer, Done)]
    if decided.before is None:
        changes.created(decided.payout, Keeper.OWN, decided.calls[0].plan_id, actor, *done_at)
    else:
        changes.moved(decided.before, decided.payout, actor, decided.reversal_plan_id, *done_at)
    return decided.payout


def _refused(cursor: psycopg.Cursor[Any], todo: Todo, answer: Refusal | Insolvent) -> KvittError:
    """The ledger's refusal as the payouts' own: what can not be paid out as it was asked for is the caller's to mend."""
    if isinstance(answer, Insolvent):
        return InsufficientFunds("the shop has not that much")
    if todo.before is None:
        if wrong := _of_other_currency(cursor, todo):
            return InvalidPayout(*wrong)
        if isinstance(answer, Overflow):
            return InvalidPayout(TOO_MUCH)
    return failed(todo.act, todo.payout.payout_id, why(answer))


def _of_other_currency(cursor: psycopg.Cursor[Any], todo: Todo) -> list[str]:
    """Accounts of the flow, and the one that must stay solvent, that are not in the payout's currency; looked for after a refusal only."""
    payout = todo.payout
    accounts = {account for each in payout.cash_flow for account in (each.source, each.target)}
    solvent = {call.solvent for call in todo.calls if call.solvent is not None}
    states = Ledger(cursor.connection).states(sorted(accounts | solvent))
    return other_currencies(payout.currency, payout.cash_flow, {key: state.account.currency for key, state in states.items()})


def _tell_again(cursor: psycopg.Cursor[Any], changes: PayoutUnitOfWork, done: Sequence[Command]) -> None:
    again = [each.payout_id for each in done if isinstance(each, Republish)]
    if again:
        for payout_id, told in events(cursor, again).items():
            row = cursor.execute(_SQL.note_republished, (payout_id,), binary=True).fetchone()
            assert row is not None, "the payout is locked, and none is ever deleted"
            changes.told_again(payout_id, told, row[0])
