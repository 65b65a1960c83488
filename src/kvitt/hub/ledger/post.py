"""Post: a batch of calls holds, commits and rolls back plans and makes accounts, in one transaction (design §4; payouts §4.4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from kvitt.errors import ResultUnknown
from kvitt.hub.ledger.book import Book, HeldAccount, HeldPlan, Repeated, StepKey, step_key
from kvitt.hub.ledger.calls import Account, Answer, Call, Done, NewAccount, State
from kvitt.kernel.actor import encode
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import BatchExecutor, Locks
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.kernel.queries import load
from kvitt.rules.ledger import MAX_CURRENCY, MAX_DESCRIPTION, Batch, InvalidRequest, PlanState, Posting, Totals, malformed
from kvitt.rules.payouts import payout_of_plan
from kvitt.store.ledger_rows import write

_SQL, _DEFERRED = load("ledger", "kvitt.store"), load("deferred", "kvitt.store")
_ATTEMPTS = 5
Name = str | int
"""A plan's id, or an account's."""

Command = Call | NewAccount
Result = Answer | Account


class Post:
    """Executes batches on one connection. Not for sharing between threads.

    Names of plans that payouts have are theirs alone, unless `payout_plans`: the ledger serves another's payouts and has none of its own.
    """

    def __init__(self, connection: Connection, clock: Clock, *, payout_plans: bool = False) -> None:
        self._connection, self._clock, self._payout_plans = connection, clock, payout_plans
        self._executor = BatchExecutor(self, names=_names, attempts=_ATTEMPTS)

    def execute(self, batch: Sequence[Command]) -> list[Result | Exception]:
        """One result per command, all of them durable on return; a refused call has done nothing and leaves its neighbours alone.

        A command on which kvitt itself fails gives the exception: a psycopg error where nothing was done, ResultUnknown where that could
        not be found out. Raises psycopg errors when the connection is gone, and nothing of the batch was done.

        A command that needs what a stranger has locked gives LockNotAvailable; its neighbours do not wait for it.
        """
        return self._executor.execute(batch)

    def run(self, batch: Sequence[Command], locks: Locks) -> list[Result | Exception]:
        """Does commands in one transaction. Raises UniqueViolation where another one held a plan of ours for the first time meanwhile."""
        results: dict[int, Result] = {}
        try:
            with transaction(self._connection), self._connection.cursor() as cursor:
                if locks is Locks.FREE:
                    cursor.execute(_DEFERRED.wait_shortly)
                self._do(cursor, batch, results)
                fault_point("ledger.before_commit")
        except ResultUnknown as unknown:
            return [_unknown(command, results[place], unknown) for place, command in enumerate(batch)]
        fault_point("ledger.after_commit")
        return [results[place] for place in range(len(batch))]

    def failed(self, command: Command, error: Exception) -> Result | Exception:  # noqa: ARG002 - its caller knows what it asked for
        """The error is the answer: those before it have been done, and are told that."""
        return error

    def _do(self, cursor: psycopg.Cursor[Any], batch: Sequence[Command], results: dict[int, Result]) -> None:
        """Gives `results` the result of each command by its place."""
        made = _make_accounts(cursor, [each for each in batch if isinstance(each, NewAccount)], self._clock())
        for place, each in enumerate(batch):
            if isinstance(each, NewAccount):
                results[place] = made.pop(0)
            elif refusal := malformed(each.plan_id, each.operation, each.batches):
                results[place] = refusal
        if not self._payout_plans:
            results |= reserved(cursor, [(place, each) for place, each in enumerate(batch) if place not in results])
        calls = [(place, each) for place, each in enumerate(batch) if place not in results and isinstance(each, Call)]
        if calls:
            results.update(post(cursor, calls, self._clock))


def _names(command: Command) -> set[Name]:
    """The plan and the accounts that a command names."""
    if isinstance(command, NewAccount):
        return set()
    return {command.plan_id, *(account for batch in command.batches for posting in batch.postings for account in posting[:2])}


def _unknown(command: Command, result: Result, unknown: ResultUnknown) -> ResultUnknown:
    """What is told of a command of which it is not known whether it was done: what to look for."""
    if isinstance(command, Call):
        named = ResultUnknown("plan", command.plan_id)
    else:
        named = ResultUnknown("account", str(result.account_id)) if isinstance(result, Account) else ResultUnknown()
    named.__cause__ = unknown.__cause__
    return named


def post(cursor: psycopg.Cursor[Any], calls: Sequence[tuple[int, Call]], clock: Clock) -> dict[int, Answer]:
    """Does well-formed calls, each with its place, inside the transaction of `cursor`; gives their answers by place.

    The clock is read under the locks. Raises UniqueViolation when another transaction held one of the plans for the first time
    meanwhile: begin anew.
    """
    plans = _lock_plans(cursor, {call.plan_id for _, call in calls})
    named = {account for _, call in calls for batch in call.batches for posting in batch.postings for account in posting[:2]}
    named |= {call.solvent for _, call in calls if call.solvent is not None}
    accounts = _lock_accounts(cursor, named.union(*(plan.net for plan in plans.values())))
    book = Book(plans, accounts, clock())
    results: dict[int, Answer] = {}
    repeated: list[tuple[int, StepKey]] = []
    for place, call in calls:
        try:
            results[place] = book.apply(call)
        except Repeated:
            repeated.append((place, step_key(call)))
    if repeated:
        answers = _answers(cursor, {key for _, key in repeated})
        results.update({place: answers[key] for place, key in repeated})
    with cursor.connection.pipeline():
        for rows in (book.new_plans(), book.moved_plans(), book.postings, book.steps, book.entries, book.moved_accounts()):
            write(cursor, rows)
    return results


def reserved(cursor: psycopg.Cursor[Any], commands: Sequence[tuple[int, Command]]) -> dict[int, InvalidRequest]:
    """Refusals of calls about plans that are, or could become, those of payouts. Plans that others held under such names before the names
    were kept for payouts can still be ended by them.
    """
    calls = [(place, each.plan_id, payout_of_plan(each.plan_id)) for place, each in commands if isinstance(each, Call)]
    named = [(place, plan_id, payout_id) for place, plan_id, payout_id in calls if payout_id is not None]
    if not named:
        return {}
    columns = [[plan_id for _, plan_id, _ in named], [payout_id for *_, payout_id in named]]
    strangers = {row[0] for row in cursor.execute(_SQL.plans_of_strangers, columns, binary=True)}
    return {place: InvalidRequest(f"Plan id ({plan_id}) is kept for payouts") for place, plan_id, _ in named if plan_id not in strangers}


def _lock_plans(cursor: psycopg.Cursor[Any], plan_ids: set[str]) -> dict[str, HeldPlan]:
    """The plans by id; one that nobody has held yet has no state."""
    rows = cursor.execute(_SQL.lock_plans, [sorted(plan_ids)], binary=True)
    plans = {plan_id: HeldPlan(PlanState(state), changed_at) for plan_id, state, changed_at in rows}
    if plans:
        batches: dict[tuple[str, int], list[Posting]] = {}
        for plan_id, batch_id, *posting in cursor.execute(_SQL.postings_of_plans, [list(plans)], binary=True):
            batches.setdefault((plan_id, batch_id), []).append(Posting(*posting))
        for (plan_id, batch_id), postings in batches.items():
            plans[plan_id].add(Batch(batch_id, tuple(postings)))
    return plans | {plan_id: HeldPlan(None) for plan_id in plan_ids - plans.keys()}


def _lock_accounts(cursor: psycopg.Cursor[Any], account_ids: set[int]) -> dict[int, HeldAccount]:
    rows = cursor.execute(_SQL.lock_accounts, [sorted(account_ids)], binary=True)
    return {row[0]: HeldAccount(Account(*row[:4]), Totals(*row[4:7]), *row[7:]) for row in rows}


def _answers(cursor: psycopg.Cursor[Any], keys: set[StepKey]) -> dict[StepKey, Done]:
    """What was answered to steps that are stored."""
    asked = sorted(keys)
    answers: dict[StepKey, Done] = {}
    columns = [[key[0] for key in asked], [key[1].value for key in asked], [key[2] for key in asked]]
    for plan_id, operation, batch_id, at, *account, posted, available_min, available_max in cursor.execute(
        _SQL.answers_of_steps, columns, binary=True
    ):
        state = State(Account(*account), Totals(posted, available_min, available_max))
        answers.setdefault((plan_id, operation, batch_id), Done({}, at)).affected[state.account.account_id] = state
    return answers


def _make_accounts(cursor: psycopg.Cursor[Any], wanted: Sequence[NewAccount], now: datetime) -> list[Result]:
    """One account per request, in order; a request key that was used before gives the account of then, if it asked for the same."""
    results: list[Result | None] = [_wrong(each) for each in wanted]
    sound = [(place, each) for place, each in enumerate(wanted) if results[place] is None]
    once: dict[str, NewAccount] = {}
    fresh = [each for _, each in sound if each.request_key is None or once.setdefault(each.request_key, each) is each]
    if fresh:
        columns = {
            "currencies": [each.currency for each in fresh],
            "descriptions": [each.description for each in fresh],
            "created": [each.created_at or now for each in fresh],
            "keys": [each.request_key for each in fresh],
            "actors": [encode(each.actor) for each in fresh],
        }
        rows = cursor.execute(_SQL.add_accounts, columns, binary=True).fetchall()
        keyed = [each.request_key for _, each in sound if each.request_key is not None]
        by_key = {row[1]: row for row in cursor.execute(_SQL.accounts_by_key, [keyed], binary=True)} if keyed else {}
        nameless = iter([row for row in rows if row[1] is None])
        for place, each in sound:
            row = next(nameless) if each.request_key is None else by_key[each.request_key]
            made = Account(row[0], row[2], row[3], row[4])
            same = (made.currency, made.description) == (each.currency, each.description)
            results[place] = made if same else InvalidRequest("The request key was used for another account")
    return [each for each in results if each is not None]


def _wrong(wanted: NewAccount) -> InvalidRequest | None:
    if wrong := wrong_id(wanted.currency, MAX_CURRENCY):
        return InvalidRequest(f"Currency code {wrong}")
    if wanted.description is not None and (wrong := wrong_text(wanted.description, MAX_DESCRIPTION)):
        return InvalidRequest(f"Description {wrong}")
    return None
