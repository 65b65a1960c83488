"""Accounts and plans of the ledger over REST."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, Parameter
from litestar.response import Stream
from litestar.router import Router

from kvitt.api.rest.callers import Permission
from kvitt.api.rest.repeats import repeat_of
from kvitt.api.rest.routes import (
    PROBLEMS,
    Cursor,
    Limit,
    Repeatable,
    RouteWork,
    actor_of,
    cut,
    decode_cursor,
    may,
    may_alone,
    refuse_flawed,
)
from kvitt.api.rest.values import (
    AccountPage,
    AccountView,
    AffectedView,
    BalanceView,
    EndBody,
    EntryPage,
    EntryView,
    HoldBody,
    NewAccountBody,
    PlanIdText,
    PlanView,
    account_view,
    entry_view,
    plan_view,
)
from kvitt.errors import AccountNotFound, BadRequest, PlanNotFound, PlanRefused, PostingsRefused
from kvitt.kernel.group_commit import settled
from kvitt.kernel.identifiers import no_path_segment, wrong_id, wrong_text
from kvitt.ledger.calls import (
    Account,
    AccountState,
    Call,
    CallResult,
    Done,
    NewAccount,
)
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import (
    InvalidPostings,
    InvalidRequest,
    Operation,
    Totals,
    unfit,
)
from kvitt.ledger.service import LedgerService
from kvitt.payouts.rules import can_be_stored

_READ, _WRITE = [may(Permission.LEDGER_READ)], [may(Permission.LEDGER_WRITE)]
_TRANSFERS = [may_alone(Permission.LEDGER_WRITE, "ledger transfer")]
_LINES = "application/x-ndjson"
_PAGE = 1000
NamedAccount = Annotated[int, Parameter(ge=-(2**63), le=2**63 - 1, description="the account's id")]
NamedPlan = Annotated[PlanIdText, Parameter(description="the plan's id")]
Found = TypeVar("Found")


class LedgerAccess:
    """Does for the routes what they ask of the ledger."""

    def __init__(self, ledger: LedgerService, work: RouteWork) -> None:
        self._ledger, self._work = ledger, work

    async def read(self, look: Callable[[LedgerReader], Found]) -> Found:
        """Reads the ledger on a thread."""

        def do() -> Found:
            with self._ledger.reading() as ledger:
                return look(ledger)

        return await self._work.on_thread(do)

    async def totals_before(self, account_id: int, moment: datetime) -> Totals:
        """The totals that an account had just before a moment."""
        return await self._work.on_thread(lambda: self._ledger.totals_before(account_id, moment))

    async def called(self, call: Call) -> AffectedView:
        """Has a call done, and returns what it touched. Raises PlanRefused, PostingsRefused."""
        answer: CallResult = await settled(self._ledger.submit(call))
        if isinstance(answer, Done):
            return AffectedView(call.plan_id, [account_view(state) for state in answer.affected.values()])
        raise _refused(call, answer)

    async def made(self, wanted: NewAccount) -> Account:
        """A new account, or the one that the same request made before. Raises BadRequest."""
        made: Account | CallResult = await settled(self._ledger.submit(wanted))
        if isinstance(made, Account):
            return made
        raise BadRequest(("", made.error if isinstance(made, InvalidRequest) else str(made)))

    async def account(self, account_id: int) -> AccountState:
        """An account with its latest totals. Raises AccountNotFound."""
        state = await asyncio.wrap_future(self._ledger.account(account_id))
        if state is None:
            raise AccountNotFound(account_id)
        return state


def router(ledger: LedgerService, work: RouteWork) -> list[Router]:
    """The routes of accounts and plans."""
    access = LedgerAccess(ledger, work)
    dependencies = {"access": Provide(lambda: access, sync_to_thread=False, use_cache=True)}
    accounts = [create_account, show_account, list_accounts, entries, statement, balance]
    plans = [show_plan, hold, commit, rollback]
    return [
        Router("/accounts", route_handlers=accounts, dependencies=dependencies, tags=["accounts"]),
        Router("/plans", route_handlers=plans, dependencies=dependencies, tags=["plans"]),
    ]


@post(
    "/",
    guards=_WRITE,
    responses=PROBLEMS,
    operation_class=Repeatable,
    summary="Make an account",
    description="With an Idempotency-Key a repeat returns the same account.",
)
async def create_account(
    request: Request[Any, Any, Any], data: JSONBody[NewAccountBody], access: NamedDependency[LedgerAccess]
) -> AccountView:
    """A new account, at zero."""
    refuse_flawed(("currency", wrong_id(data.currency)), ("description", data.description and wrong_text(data.description)))
    repeat = repeat_of(request)
    made = await access.made(NewAccount(data.currency, data.description, None, repeat.name if repeat else None, actor_of(request)))
    return account_view(AccountState(made, Totals()))


@get("/{account_id:int}", guards=_READ, responses=PROBLEMS, summary="Show an account")
async def show_account(account_id: NamedAccount, access: NamedDependency[LedgerAccess]) -> AccountView:
    """The account with its latest totals."""
    return account_view(await access.account(account_id))


@get("/", guards=_READ, responses=PROBLEMS, summary="List accounts by id")
async def list_accounts(access: NamedDependency[LedgerAccess], after: Cursor = None, limit: Limit = 100) -> AccountPage:
    """A page of accounts."""
    place = decode_cursor(after, (int,), _number) or 0
    found = await access.read(lambda ledger: ledger.accounts(place, limit + 1))
    shown, following = cut(found, limit, lambda last: (last.account.account_id,))
    return AccountPage([account_view(each) for each in shown], following)


@get("/{account_id:int}/entries", guards=_READ, responses=PROBLEMS, summary="Show the history of an account, oldest first")
async def entries(account_id: NamedAccount, access: NamedDependency[LedgerAccess], after: Cursor = None, limit: Limit = 100) -> EntryPage:
    """A page of what happened to the account."""
    await access.account(account_id)
    place = decode_cursor(after, (int,), _number) or 0
    found = await access.read(lambda ledger: ledger.history(account_id, place, limit + 1))
    shown, following = cut(found, limit, lambda last: (last.number,))
    return EntryPage([entry_view(each) for each in shown], following)


@get(
    "/{account_id:int}/statement",
    guards=_READ,
    summary="Stream the whole history of an account",
    media_type=_LINES,
    responses={**PROBLEMS, 200: ResponseSpec(EntryView, description="one entry a line", media_type=_LINES, generate_examples=False)},
)
async def statement(account_id: NamedAccount, access: NamedDependency[LedgerAccess]) -> Stream:
    """All that happened to the account, a JSON object on each line; memory holds one page."""
    await access.account(account_id)
    return Stream(_lines(account_id, access), media_type=_LINES)


async def _lines(account_id: int, access: LedgerAccess) -> AsyncIterator[bytes]:
    after = 0
    while found := await access.read(lambda ledger, place=after: ledger.history(account_id, place, _PAGE)):  # type: ignore[misc]
        yield b"".join(msgspec.json.encode(entry_view(each)) + b"\n" for each in found)
        after = found[-1].number


@get("/{account_id:int}/balance", guards=_READ, responses=PROBLEMS, summary="Show what an account had just before a moment")
async def balance(
    account_id: NamedAccount,
    access: NamedDependency[LedgerAccess],
    at: Annotated[datetime, Parameter(description="with its zone", examples=[])],
) -> BalanceView:
    """The totals that the account had then."""
    moment = _utc(at)
    await access.account(account_id)
    totals = await access.totals_before(account_id, moment)
    return BalanceView(account_id, moment, *totals)


@get("/{plan_id:str}", guards=_READ, responses=PROBLEMS, summary="Show a plan")
async def show_plan(plan_id: NamedPlan, access: NamedDependency[LedgerAccess]) -> PlanView:
    """The plan with its batches as they were held."""
    if not can_be_stored(plan_id):
        raise PlanNotFound(plan_id)
    return plan_view(await access.read(lambda ledger: ledger.plan(plan_id)))


@post(
    "/{plan_id:str}/hold",
    guards=_TRANSFERS,
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Hold a batch of a plan",
)
async def hold(
    request: Request[Any, Any, Any], plan_id: NamedPlan, data: JSONBody[HoldBody], access: NamedDependency[LedgerAccess]
) -> AffectedView:
    """The postings of the batch are held; the same hold again is answered as the first time."""
    refuse_flawed(("plan_id", wrong_id(plan_id) or no_path_segment(plan_id)))
    call = Call(plan_id, Operation.HOLD, (data.batch.batch(),), actor=actor_of(request))
    if refusal := unfit(plan_id, call.batches[0]):
        raise _refused(call, refusal)
    return await access.called(call)


@post("/{plan_id:str}/commit", guards=_TRANSFERS, responses=PROBLEMS, operation_class=Repeatable, status_code=200, summary="Commit a plan")
async def commit(
    request: Request[Any, Any, Any], plan_id: NamedPlan, data: JSONBody[EndBody], access: NamedDependency[LedgerAccess]
) -> AffectedView:
    """All that the plan holds moves."""
    return await access.called(Call(plan_id, Operation.COMMIT, tuple(each.batch() for each in data.batches), actor=actor_of(request)))


@post(
    "/{plan_id:str}/rollback",
    guards=_TRANSFERS,
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Roll a plan back",
)
async def rollback(
    request: Request[Any, Any, Any], plan_id: NamedPlan, data: JSONBody[EndBody], access: NamedDependency[LedgerAccess]
) -> AffectedView:
    """All that the plan holds is released."""
    return await access.called(Call(plan_id, Operation.ROLLBACK, tuple(each.batch() for each in data.batches), actor=actor_of(request)))


def _number(number: int) -> int:
    if not 0 <= number < 2**63:
        raise ValueError("no number of the store")
    return number


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise BadRequest(("at", "has a zone, such as Z"))
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise BadRequest(("at", "lies in the years 1 to 9999 of UTC")) from None


def _refused(call: Call, answer: CallResult | Account) -> Exception:
    if not isinstance(answer, InvalidPostings):
        return PlanRefused(answer.error if isinstance(answer, InvalidRequest) else "an account would not stay solvent")
    places: dict[object, str] = {}
    for at, batch in enumerate(call.batches):
        for number, posting in enumerate(batch.postings):
            places.setdefault(
                posting, f"batches[{at}].postings[{number}]" if call.operation is not Operation.HOLD else f"batch.postings[{number}]"
            )
    return PostingsRefused(*((places.get(posting, "what is held"), text) for posting, text in answer.wrong))
