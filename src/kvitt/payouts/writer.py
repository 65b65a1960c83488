"""Writes payouts whose plans are in our own ledger: a batch of commands makes and moves them, in one transaction (design §4, §9)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.errors import InsufficientFunds, InvalidPayout, KvittError, PayoutAlreadyExists, PayoutNotFound, ResultUnknown
from kvitt.kernel.actor import Actor
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import BatchExecutor, Locks, wait_shortly
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_later, fetch_one
from kvitt.kernel.operators import note
from kvitt.ledger.accounts import states_of
from kvitt.ledger.calls import CallResult, Done, Insolvent
from kvitt.ledger.post import post
from kvitt.ledger.rules import CallRefusal, Overflow, PlanState
from kvitt.payouts.decide import (
    DecidedPayout,
    PayoutChange,
    decide,
    draft,
    failed,
    reason_of,
    to_create,
)
from kvitt.payouts.local_parties import DirectorySnapshot, snapshot_later
from kvitt.payouts.model import (
    CancelPayout,
    ConfirmPayout,
    CreatePayout,
    Keeper,
    MarkPaid,
    Payout,
    PayoutCommand,
    PayoutRecord,
    RepublishEvents,
    RequestPayout,
    actor_of,
)
from kvitt.payouts.repository import (
    SQL,
    PayoutUnitOfWork,
    events,
    lock,
    records_later,
)
from kvitt.payouts.rules import (
    TOO_MUCH,
    PayoutStatus,
    other_currencies,
    plan_id_of,
    reversal_plan_id_of,
)

_ATTEMPTS: Final = 5
_TRIES: Final = range(1, 65)
"""The attempts of which one finds a name for its plan that nobody has taken."""
_AUDITED_AS: Final = {
    ConfirmPayout: "payout confirm",
    CancelPayout: "payout cancel",
    MarkPaid: "payout paid",
    RepublishEvents: "payout republish",
}

PayoutResult = Payout | Exception
"""A payout as it stands after its command, also where that had nothing to do; or why the command was refused."""


class PayoutWriter:
    """Executes batches on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._executor: BatchExecutor[PayoutCommand, PayoutResult] = BatchExecutor(self, names=_names, attempts=_ATTEMPTS)

    def execute(self, batch: Sequence[PayoutCommand]) -> list[PayoutResult]:
        """One result per command, all of them durable on return; a refused command has done nothing and leaves its neighbours alone.

        Commands about one payout are executed one after the other, in transactions of their own. What the database could not do
        has the psycopg error as its result, and nothing was done of it; ResultUnknown names the payout where that could not be found out.
        """
        results: dict[int, PayoutResult] = {}
        for places in _rounds(batch):
            try:
                results.update(zip(places, self._executor.execute([batch[place] for place in places]), strict=True))
            except psycopg.Error as error:
                # The rounds before have been done, and their callers get that result.
                self._connection.close()
                results.update(dict.fromkeys(places, error))
        return [results[place] for place in range(len(batch))]

    def within(self, command: PayoutCommand) -> Payout:
        """Does one command in the caller's own transaction. Raises what it is refused with."""
        with self._connection.pipeline():
            look = self._look([command])
        with self._connection.cursor() as cursor:
            (result,) = self._do(cursor, [command], look())
        if isinstance(result, Exception):
            raise result
        return result

    def run(self, batch: Sequence[PayoutCommand], locks: Locks) -> list[PayoutResult]:
        """Does commands about different payouts in one transaction."""
        looks: list[Callable[[], _LockedPayouts]] = []

        def begin() -> None:
            if locks is Locks.FREE:
                wait_shortly(self._connection)
            looks.append(self._look(batch))

        try:
            with transaction(self._connection, first=begin), self._connection.cursor() as cursor:
                results = self._do(cursor, batch, looks[0]())
                fault_point("payouts.before_commit")
        except ResultUnknown:
            return [ResultUnknown("payout", command.payout_id) for command in batch]
        fault_point("payouts.after_commit")
        return results

    def failed(self, command: PayoutCommand, error: Exception) -> PayoutResult:  # noqa: ARG002 - its caller knows what it asked for
        """The error is the result of the command."""
        return error

    def _look(self, batch: Sequence[PayoutCommand]) -> "Callable[[], _LockedPayouts]":
        """Locks the payouts, in a pipeline, and asks for what has to be known of them; returns what takes it in."""
        connection, payout_ids = self._connection, [command.payout_id for command in batch]
        new = [each.new for each in batch if isinstance(each, RequestPayout)]
        plan_ids = [plan_id_of(each.payout_id) for each in batch if isinstance(each, CreatePayout | RequestPayout)]
        lock(connection, payout_ids)
        there = records_later(connection, payout_ids)
        plans = fetch_later(connection, _LedgerPlan, SQL.plans_there, [plan_ids]) if plan_ids else list
        parties = snapshot_later(connection, [each.party_id for each in new], [each.cash.currency for each in new]) if new else None
        return lambda: _LockedPayouts(there(), _by_state(plans()), parties and parties())

    def _do(self, cursor: psycopg.Cursor[Any], batch: Sequence[PayoutCommand], known: "_LockedPayouts") -> list[PayoutResult]:
        decided = self._decided(batch, known)
        actors = [actor_of(command) for command in batch]
        # What the ledger writes and what is written here take one round trip.
        with self._connection.pipeline():
            answers = self._post(cursor, decided, actors)
            now = self._clock()
            work = PayoutUnitOfWork(now)
            results = [_result(cursor, each, actor, answers, work) for each, actor in zip(decided, actors, strict=True)]
            _republish(cursor, work, [each for each, result in zip(batch, results, strict=True) if isinstance(result, Payout)])
            work.write(cursor)
        for command, each, result in zip(batch, decided, results, strict=True):
            operator = None if isinstance(command, CreatePayout | RequestPayout) else command.operator
            if operator and isinstance(result, Payout) and (isinstance(each, PayoutChange) or isinstance(command, RepublishEvents)):
                note(cursor, now, _AUDITED_AS[type(command)], operator, command.payout_id)
        return results

    def _decided(self, batch: Sequence[PayoutCommand], known: "_LockedPayouts") -> list[DecidedPayout]:
        """Decides what each command comes to, under the locks of all their payouts."""
        now = self._clock()
        drafted = [_with_draft(each, known, now) if isinstance(each, RequestPayout) else each for each in batch]
        taken = {**known.plans, **_further_plans(self._connection, drafted, known)}
        return [each if isinstance(each, KvittError) else _decide(each, known.there.get(each.payout_id), taken) for each in drafted]

    def _post(self, cursor: psycopg.Cursor[Any], decided: Sequence[DecidedPayout], actors: Sequence[Actor | None]) -> Iterator[CallResult]:
        """The ledger's answers to all calls of what is to be done, in their order."""
        calls = [
            replace(call, actor=actor)
            for each, actor in zip(decided, actors, strict=True)
            if isinstance(each, PayoutChange)
            for call in each.calls
        ]
        answers = post(cursor, list(enumerate(calls)), self._clock) if calls else {}
        return iter([answers[place] for place in range(len(calls))])


def _names(command: PayoutCommand) -> frozenset[str]:
    return frozenset((command.payout_id,))


def _rounds(batch: Sequence[PayoutCommand]) -> Iterator[list[int]]:
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


class _LedgerPlan(Struct, frozen=True):
    plan_id: str
    state: str


class _Republished(Struct, frozen=True):
    republished: int


TakenPlans = Mapping[str, PlanState]
"""Plans that others have held under names that ours would have, in some attempt."""


class _LockedPayouts(Struct, frozen=True):
    """Payouts that a batch is about, locked: those that are there, the plans of their first names, and the parties of new ones."""

    there: Mapping[str, PayoutRecord]
    plans: TakenPlans
    parties: DirectorySnapshot | None = None


def _with_draft(command: RequestPayout, known: _LockedPayouts, now: datetime) -> CreatePayout | KvittError:
    if command.payout_id in known.there:
        return PayoutAlreadyExists(f"there is a payout with the id {command.payout_id}")
    assert known.parties is not None, "a payout is requested"
    try:
        return CreatePayout(draft(command.new, command.payout_id, known.parties, now, None), command.actor)
    except KvittError as refusal:
        return refusal


def _further_plans(connection: Connection, batch: Sequence[PayoutCommand | KvittError], known: _LockedPayouts) -> TakenPlans:
    """All names that may be needed of payouts whose first plan was rolled back, and of those that are to be reversed."""
    again = [each.payout_id for each in batch if isinstance(each, CreatePayout) and _is_gone(known.plans, each.payout_id)]
    back = [each.payout_id for each in batch if isinstance(each, CancelPayout) and _is_confirmed(known.there.get(each.payout_id))]
    names = [plan_id_of(payout_id, attempt) for payout_id in again for attempt in _TRIES]
    names += [reversal_plan_id_of(payout_id, attempt) for payout_id in back for attempt in _TRIES]
    return _by_state(fetch(connection, _LedgerPlan, SQL.plans_there, [names])) if names else {}


def _is_gone(plans: TakenPlans, payout_id: str) -> bool:
    return plans.get(plan_id_of(payout_id)) is PlanState.ROLLED_BACK


def _is_confirmed(record: PayoutRecord | None) -> bool:
    return record is not None and record.payout.status is PayoutStatus.CONFIRMED


def _by_state(rows: Sequence[_LedgerPlan]) -> TakenPlans:
    return {row.plan_id: PlanState(row.state) for row in rows}


def _first_free(name: Callable[[str, int], str], payout_id: str, taken: TakenPlans) -> int | None:
    """The first attempt whose plan nobody has held; None when the names have run out."""
    return next((attempt for attempt in _TRIES if name(payout_id, attempt) not in taken), None)


def _to_create(command: CreatePayout, taken: TakenPlans) -> DecidedPayout:
    """A plan that was rolled back holds nothing, so the next attempt has another one. One that is held, or was committed, is not gone
    round: it may be the same payout, made by the service that kvitt took over from.
    """
    attempt = _first_free(plan_id_of, command.payout_id, taken)
    before = [taken[plan_id_of(command.payout_id, earlier)] for earlier in range(1, attempt or 1)]
    if attempt is None or any(state is not PlanState.ROLLED_BACK for state in before):
        return failed("hold", command.payout_id, "a plan of this name is there already")
    return to_create(command.draft, attempt)


def _decide(command: PayoutCommand, record: PayoutRecord | None, taken: TakenPlans) -> DecidedPayout:
    if isinstance(command, CreatePayout):
        if record is not None:
            return PayoutAlreadyExists(f"there is a payout with the id {command.payout_id}")
        return _to_create(command, taken)
    if record is None:
        return PayoutNotFound(f"Payout not found, payoutId='{command.payout_id}'")
    attempt = _first_free(reversal_plan_id_of, command.payout_id, taken)
    decided = decide(command, record, attempt or 1)
    if isinstance(decided, PayoutChange) and decided.calls and record.keeper is not Keeper.OWN:
        return failed(decided.act, command.payout_id, "its plan is in another ledger, which is not set")
    return decided


def _result(
    cursor: psycopg.Cursor[Any], decided: DecidedPayout, actor: Actor | None, answers: Iterator[CallResult], work: PayoutUnitOfWork
) -> PayoutResult:
    """Notes what a command changed, and returns its result."""
    if not isinstance(decided, PayoutChange):
        return decided
    given = [next(answers) for _ in decided.calls]
    for place, answer in enumerate(given):
        if not isinstance(answer, Done):
            refused = _refused(cursor.connection, decided, answer)
            if place:
                # The first half of a reversal was held, and the second is refused: nothing of this transaction may stay.
                raise refused
            return refused
    done_at = [answer.at for answer in given if isinstance(answer, Done)]
    if decided.before is None:
        work.created(decided.payout, Keeper.OWN, decided.calls[0].plan_id, actor, *done_at)
    else:
        work.moved(decided.before, decided.payout, actor, decided.reversal_plan_id, *done_at)
    return decided.payout


def _refused(connection: Connection, change: PayoutChange, answer: CallRefusal | Insolvent) -> KvittError:
    """The ledger's refusal as the payouts' own: what can not be paid out as it was asked for is the caller's to mend."""
    if isinstance(answer, Insolvent):
        return InsufficientFunds("the shop has not that much")
    if change.before is None:
        if wrong := _of_other_currency(connection, change):
            return InvalidPayout(*wrong)
        if isinstance(answer, Overflow):
            return InvalidPayout(TOO_MUCH)
    return failed(change.act, change.payout.payout_id, reason_of(answer))


def _of_other_currency(connection: Connection, change: PayoutChange) -> list[str]:
    """Accounts of the flow, and the one that must stay solvent, that are not in the payout's currency; looked for after a refusal only."""
    payout = change.payout
    accounts = {account for each in payout.cash_flow for account in (each.source, each.target)}
    solvent = {call.solvent for call in change.calls if call.solvent is not None}
    states = states_of(connection, sorted(accounts | solvent))
    return other_currencies(payout.currency, payout.cash_flow, {key: state.account.currency for key, state in states.items()})


def _republish(cursor: psycopg.Cursor[Any], work: PayoutUnitOfWork, done: Sequence[PayoutCommand]) -> None:
    again = [each.payout_id for each in done if isinstance(each, RepublishEvents)]
    if again:
        for payout_id, published in events(cursor.connection, again).items():
            row = fetch_one(cursor.connection, _Republished, SQL.note_republished, (payout_id,))
            assert row is not None, "the payout is locked, and none is ever deleted"
            work.republished(payout_id, published, row.republished)
