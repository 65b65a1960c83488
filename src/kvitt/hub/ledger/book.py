"""Plans and accounts in memory while one transaction holds their locks: calls are applied one after the other, refused ones not at all."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from kvitt.hub.ledger.calls import Account, Answer, Call, Done, Insolvent, State
from kvitt.kernel.actor import encode
from kvitt.money import NOTHING, Minor
from kvitt.rules.ledger import (
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
from kvitt.store.ledger_rows import AccountStep, EntryRow, PlanRow, PlanStep, PostingRow, StepRow

_EVER = datetime.min.replace(tzinfo=UTC)

StepKey = tuple[str, Operation, int]
"""A hold of a batch, or the end of a plan under the largest number."""


class HeldAccount:
    """An account whose row is locked; nothing that happens to it is earlier than `last_at`."""

    def __init__(self, account: Account, totals: Totals, entries: int, last_at: datetime) -> None:
        self.account, self.totals, self.entries, self.last_at = account, totals, entries, last_at
        self.changed = False


class HeldPlan:
    """A plan whose row is locked, or that nobody has held yet (`state` None), with its batches and what it nets on each account."""

    def __init__(self, state: PlanState | None, changed_at: datetime = _EVER) -> None:
        self.state = state
        self.is_new = state is None
        self.changed = False
        self.held_at = self.changed_at = changed_at
        self.batches: dict[int, tuple[Posting, ...]] = {}
        self.net: dict[int, Minor] = {}

    def add(self, batch: Batch) -> None:
        """Takes in a batch that is held."""
        self.batches[batch.batch_id] = batch.postings
        for account_id, net in net_by_account(batch.postings).items():
            self.net[account_id] = Minor(self.net.get(account_id, 0) + net)


def step_key(call: Call) -> StepKey:
    """Under what the answer to a call is found again."""
    return call.plan_id, call.operation, call.batches[0].batch_id if call.operation is Operation.HOLD else INT64_MAX


class Repeated(Exception):
    """The call was done before, outside this transaction: its answer has to be read."""


class Book:
    """The plans and accounts that a batch of calls touches, and the rows that the calls make.

    The moment of a step is the clock's, `now`, or the last one of its plan or of an account that it touches, whichever is latest: so the
    moments of each account and plan never go back, whatever the clocks of the processes do.
    """

    def __init__(self, plans: Mapping[str, HeldPlan], accounts: Mapping[int, HeldAccount], now: datetime) -> None:
        self._plans, self._accounts, self._now = plans, accounts, now
        self._currencies = {account_id: held.account.currency for account_id, held in accounts.items()}
        self._answers: dict[StepKey, Done] = {}
        self.postings: list[PostingRow] = []
        self.steps: list[StepRow] = []
        self.entries: list[EntryRow] = []

    def apply(self, call: Call) -> Answer:
        """Does a well-formed call; a refused one leaves everything as it was. Raises Repeated when only the store knows its answer."""
        plan = self._plans[call.plan_id]
        if refusal := out_of_order(call.plan_id, plan.state, call.operation) or differing(call.operation, plan.batches, call.batches):
            return refusal
        fresh = [batch for batch in call.batches if batch.batch_id not in plan.batches]
        if not fresh and plan.state is STATE_AFTER[call.operation]:
            return self._again(call)
        if refusal := unknown_accounts(fresh, self._currencies) or self._incomparable(call):
            return refusal
        totals = self._held(plan, fresh) if call.operation is Operation.HOLD else self._ended(plan, call.operation)
        if call.solvent is not None and not self._is_solvent(call.solvent, totals):
            return Insolvent(call.solvent)
        if refusal := overflow(call.plan_id, totals):
            return refusal
        return self._note(call, plan, fresh, totals)

    def _incomparable(self, call: Call) -> InvalidRequest | None:
        """An account that has to stay solvent is compared with what moves, and so is in the same currency."""
        expected = None if call.solvent is None else self._currencies.get(call.solvent)
        actual = {posting.currency for batch in call.batches for posting in batch.postings} - {expected}
        if expected is None or not actual:
            return None
        return InvalidRequest(f"Account ({call.solvent}) currency code is not equal: expected: {expected}, actual: {min(actual)}")

    def _is_solvent(self, account_id: int, after: Mapping[int, Totals]) -> bool:
        held = self._accounts.get(account_id)
        return held is not None and after.get(account_id, held.totals).available_min >= 0

    def _again(self, call: Call) -> Done:
        done = self._answers.get(step_key(call))
        if done is None:
            raise Repeated
        return done

    def _held(self, plan: HeldPlan, fresh: Sequence[Batch]) -> dict[int, Totals]:
        net = net_by_account([posting for batch in fresh for posting in batch.postings])
        return {each: after_hold(self._accounts[each].totals, plan.net.get(each, NOTHING), change) for each, change in net.items()}

    def _ended(self, plan: HeldPlan, operation: Operation) -> dict[int, Totals]:
        return {each: after_final(self._accounts[each].totals, operation, net) for each, net in plan.net.items()}

    def _note(self, call: Call, plan: HeldPlan, fresh: Sequence[Batch], totals: Mapping[int, Totals]) -> Done:
        plan_id, operation, batch_id = step_key(call)
        for batch in fresh:
            plan.add(batch)
            self.postings += [PostingRow(plan_id, batch.batch_id, place, *posting) for place, posting in enumerate(batch.postings)]
        at = max(self._now, plan.changed_at, *(self._accounts[account_id].last_at for account_id in totals))
        plan.held_at = at if plan.state is None else plan.held_at
        plan.state, plan.changed_at, plan.changed = STATE_AFTER[operation], at, True
        affected: dict[int, State] = {}
        numbers: list[int] = []
        for account_id, after in totals.items():
            held = self._accounts[account_id]
            held.totals, held.entries, held.last_at, held.changed = after, held.entries + 1, at, True
            affected[account_id] = State(held.account, after)
            numbers.append(held.entries)
            self.entries.append(EntryRow(account_id, held.entries, at, plan_id, operation.value, batch_id, *after))
        self.steps.append(StepRow(plan_id, operation.value, batch_id, at, _array(totals), _array(numbers), encode(call.actor)))
        done = self._answers[plan_id, operation, batch_id] = Done(affected, at)
        return done

    def new_plans(self) -> list[PlanRow]:
        """Plans that were held for the first time, sorted: of two transactions with the same ones, one waits at the first."""
        held = ((plan_id, plan) for plan_id, plan in sorted(self._plans.items()) if plan.is_new and plan.state)
        return [PlanRow(plan_id, plan.state, plan.held_at, plan.changed_at) for plan_id, plan in held if plan.state]

    def moved_plans(self) -> list[PlanStep]:
        """Plans that were there before and are in another state now, or have another batch."""
        moved = ((plan_id, plan) for plan_id, plan in self._plans.items() if not plan.is_new and plan.changed)
        return [PlanStep(plan_id, plan.state, plan.changed_at) for plan_id, plan in moved if plan.state]

    def moved_accounts(self) -> list[AccountStep]:
        """Accounts with other totals than before."""
        moved = ((account_id, held) for account_id, held in self._accounts.items() if held.changed)
        return [AccountStep(account_id, *held.totals, held.entries, held.last_at) for account_id, held in moved]


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
