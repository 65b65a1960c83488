"""The ledger over Thrift: `/accounter` answers with the new states, `/shumpune` with a clock (payouts §4.1, §4.2)."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kvitt.api.thrift.server import CallRefused, Endpoint, Method
from kvitt.api.thrift.trace import actor
from kvitt.errors import BadThrift, PlanNotFound
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.formats.times import instant_text, parse_instant
from kvitt.kernel.money import Minor
from kvitt.ledger.calls import (
    Account,
    AccountState,
    Call,
    Done,
    NewAccount,
)
from kvitt.ledger.read import Plan
from kvitt.ledger.rules import (
    INT64_MAX,
    INT64_MIN,
    Batch,
    InvalidPostings,
    InvalidRequest,
    Operation,
    Posting,
    unfit,
)
from kvitt.ledger.service import LedgerService

_UNEXPECTED = "Result Unexpected"


def endpoints(ledger: LedgerService) -> dict[str, Endpoint]:
    """Both services at their paths (payouts §7.4)."""
    return {"/accounter": _AccounterAdapter(ledger).endpoint(), "/shumpune": _ShumpuneAdapter(ledger).endpoint()}


class _ServiceAdapter(ABC):
    """Translates between Thrift and the ledger for both services; `types` are the structs of the one at hand."""

    interface: str

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger
        self.types: Any = module(self.interface)
        self.refusals: Any = module("refusals")

    def endpoint(self) -> Endpoint:
        return Endpoint(Service(self.interface, "Accounter"), self.handlers())

    def handlers(self) -> dict[str, Method]:
        return {
            "Hold": self._hold,
            "CommitPlan": lambda asked: self._end(Operation.COMMIT, asked),
            "RollbackPlan": lambda asked: self._end(Operation.ROLLBACK, asked),
            "GetPlan": self._plan,
            "GetAccountByID": self._account,
            "CreateAccount": self._create,
        }

    @abstractmethod
    def done(self, done: Done) -> Any:
        """The reply to a hold or an end."""

    @abstractmethod
    def account(self, state: AccountState) -> Any:
        """The reply to a look at an account."""

    async def _hold(self, asked: Any) -> Any:
        change = _given(asked.plan_change)
        batch = _batch(change.batch)
        if refusal := unfit(change.id, batch):
            return self._as_answer(refusal)
        return await self._do(Call(change.id, Operation.HOLD, (batch,), actor=actor()))

    async def _end(self, operation: Operation, asked: Any) -> Any:
        plan = _given(asked.plan)
        return await self._do(Call(plan.id, operation, tuple(map(_batch, plan.batch_list)), actor=actor()))

    async def _do(self, call: Call) -> Any:
        answer = await asyncio.wrap_future(self._ledger.submit(call))
        return self._as_answer(answer)

    def _as_answer(self, answer: object) -> Any:
        if isinstance(answer, Done):
            return self.done(answer)
        if isinstance(answer, InvalidRequest):
            raise self.refusals.InvalidRequest(errors=[answer.error])
        if isinstance(answer, InvalidPostings):
            raise self.types.InvalidPostingParams(wrong_postings={self._posting(posting): text for posting, text in answer.wrong})
        raise _failure(answer)

    async def _create(self, asked: Any) -> int:
        wanted = _given(asked.prototype)
        created = None if wanted.creation_time is None else _moment("creation_time", wanted.creation_time)
        made = await asyncio.wrap_future(
            self._ledger.submit(NewAccount(wanted.currency_sym_code, wanted.description, created, actor=actor()))
        )
        if isinstance(made, Account):
            return made.account_id
        if isinstance(made, InvalidRequest):
            # CreateAccount declares no exception: the reason goes where one can read it.
            raise CallRefused(400, _UNEXPECTED, made.error)
        raise _failure(made)

    async def _state(self, account_id: int) -> AccountState:
        state = await asyncio.wrap_future(self._ledger.account(account_id))
        if state is None:
            raise self.types.AccountNotFound(account_id=account_id)
        return state

    async def _account(self, asked: Any) -> Any:
        return self.account(await self._state(_given(asked.id)))

    async def _plan(self, asked: Any) -> Any:
        plan_id = _given(asked.id)
        try:
            plan = await asyncio.to_thread(self._read_plan, plan_id)
        except PlanNotFound:
            raise self.types.PlanNotFound(plan_id=plan_id) from None
        batches = [
            self.types.PostingBatch(id=batch.batch_id, postings=[self._posting(each) for each in batch.postings]) for batch in plan.batches
        ]
        return self.types.PostingPlan(id=plan.plan_id, batch_list=batches)

    def _read_plan(self, plan_id: str) -> Plan:
        if "\0" in plan_id:
            raise PlanNotFound(plan_id)
        with self._ledger.reading() as ledger:
            return ledger.plan(plan_id)

    def _posting(self, posting: Posting) -> Any:
        source, target, amount, currency, description = posting
        return self.types.Posting(from_id=source, to_id=target, amount=amount, currency_sym_code=currency, description=description)


class _AccounterAdapter(_ServiceAdapter):
    interface = "accounter"

    def handlers(self) -> dict[str, Method]:
        return super().handlers() | {"GetAccountBalance": self._balance_before, "GetAccountBalanceDiff": self._balance_between}

    def done(self, done: Done) -> Any:
        return self.types.PostingPlanLog(affected_accounts={key: self.account(state) for key, state in done.affected.items()})

    def account(self, state: AccountState) -> Any:
        account, totals = state.account, state.totals
        return self.types.Account(
            id=account.account_id,
            own_amount=totals.posted,
            max_available_amount=totals.available_max,
            min_available_amount=totals.available_min,
            currency_sym_code=account.currency,
            description=account.description,
            creation_time=instant_text(account.created_at),
        )

    async def _balance_before(self, asked: Any) -> int:
        (posted,) = await self._posted_before(_given(asked.id), [_moment("to_time", _given(asked.to_time))])
        return posted

    async def _balance_between(self, asked: Any) -> int:
        moments = [_moment("from_time", _given(asked.from_time)), _moment("to_time", _given(asked.to_time))]
        before, after = await self._posted_before(_given(asked.id), moments)
        if not INT64_MIN <= after - before <= INT64_MAX:
            # No exception is declared for it, and no number for what is more than a number can be.
            raise CallRefused(400, _UNEXPECTED, f"the difference from {before} to {after} is not within {INT64_MIN} to {INT64_MAX}")
        return after - before

    async def _posted_before(self, account_id: int, moments: Sequence[datetime]) -> list[int]:
        await self._state(account_id)

        def read() -> list[int]:
            return [self._ledger.totals_before(account_id, moment).posted for moment in moments]

        return await asyncio.to_thread(read)


class _ShumpuneAdapter(_ServiceAdapter):
    interface = "shumpune"

    def handlers(self) -> dict[str, Method]:
        return super().handlers() | {"GetBalanceByID": self._balance}

    def done(self, done: Done) -> Any:  # noqa: ARG002 - the answer says only that it was done
        return self._latest()

    def account(self, state: AccountState) -> Any:
        account = state.account
        return self.types.Account(
            id=account.account_id,
            currency_sym_code=account.currency,
            description=account.description,
            creation_time=instant_text(account.created_at),
        )

    async def _balance(self, asked: Any) -> Any:
        # Any clock is old enough: what was answered is durable and seen by all who ask later.
        state = await self._state(_given(asked.id))
        totals = state.totals
        return self.types.Balance(
            id=state.account.account_id,
            own_amount=totals.posted,
            max_available_amount=totals.available_max,
            min_available_amount=totals.available_min,
            clock=self._latest(),
        )

    def _latest(self) -> Any:
        return self.types.Clock(latest=self.types.LatestClock())


def _given(argument: Any) -> Any:
    """An argument that a call can't be without, though the interface does not say so. Raises BadThrift."""
    if argument is None:
        raise BadThrift("lacks an argument")
    return argument


def _batch(batch: Any) -> Batch:
    postings = [Posting(each.from_id, each.to_id, Minor(each.amount), each.currency_sym_code, each.description) for each in batch.postings]
    return Batch(batch.id, tuple(postings))


def _moment(field: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise CallRefused(400, _UNEXPECTED, f"{field}: {error}") from None


def _failure(answer: object) -> Exception:
    """kvitt's own failure on one command, to be raised."""
    return answer if isinstance(answer, Exception) else TypeError(type(answer).__name__)
