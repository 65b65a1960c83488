"""Payouts over REST."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from litestar import Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody, Parameter
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
    CancelBody,
    EventList,
    EventView,
    NewPayoutBody,
    PayoutIdText,
    PayoutPage,
    PayoutView,
    payout_view,
)
from kvitt.errors import BadRequest, PayoutAlreadyExists
from kvitt.formats.times import instant_text, parse_instant
from kvitt.kernel.actor import Actor
from kvitt.kernel.group_commit import settled
from kvitt.kernel.identifiers import no_path_segment, wrong_id, wrong_text
from kvitt.kernel.money import Minor
from kvitt.kernel.requests import Begun
from kvitt.payouts.model import (
    CancelPayout,
    Cash,
    ConfirmPayout,
    NewPayout,
    Payout,
    PayoutCursor,
    RequestPayout,
)
from kvitt.payouts.rules import PayoutStatus, can_be_stored, is_payout_id
from kvitt.payouts.service import PayoutService, cancellation, confirmation, requested

_READ, _WRITE = [may(Permission.PAYOUTS_READ)], [may(Permission.PAYOUTS_WRITE)]
NamedPayout = Annotated[PayoutIdText, Parameter(description="the payout's id")]


class PayoutCalls(NamedTuple):
    """Has the calls of payouts done. One value for all routes: several would be given to each call by tasks of their own."""

    payouts: PayoutService
    work: RouteWork

    async def created(self, wanted: NewPayout, begun: Begun | None, actor: Actor) -> Payout:
        """A new payout; where this very request made one before its process died and could not answer, that one.

        Raises as `PayoutService.create`.
        """
        try:
            return await self.done(requested(wanted, actor), lambda: self.payouts.create(wanted, actor=actor))
        except PayoutAlreadyExists:
            there = await self.work.on_thread(lambda: _made_before(self.payouts, wanted, begun, actor)) if begun and begun.again else None
            if there is None:
                raise
            return there

    async def done(self, command: RequestPayout | ConfirmPayout | CancelPayout, do: Callable[[], Payout]) -> Payout:
        """The payout as the command left it; where other services are asked as well, `do` has it done on a thread."""
        future = self.payouts.submit(command)
        done: Payout = await (self.work.on_thread(do) if future is None else settled(future))
        return done


def router(payouts: PayoutService, work: RouteWork) -> Router:
    """The routes of payouts."""
    calls = PayoutCalls(payouts, work)
    dependencies = {"calls": Provide(lambda: calls, sync_to_thread=False, use_cache=True)}
    handlers = [create, show, page, confirm, cancel, events]
    return Router("/payouts", route_handlers=handlers, dependencies=dependencies, tags=["payouts"])


@post(
    "/",
    guards=_WRITE,
    responses=PROBLEMS,
    operation_class=Repeatable,
    summary="Create a payout",
    description="Holds the funds and stores the payout, or does nothing at all.",
)
async def create(
    request: Request[Any, Any, Any],
    data: JSONBody[NewPayoutBody],
    calls: NamedDependency[PayoutCalls],
) -> PayoutView:
    """A new payout; with an Idempotency-Key and no id, the id follows from the key."""
    refuse_flawed(
        ("party_id", wrong_id(data.party_id)),
        ("shop_id", wrong_id(data.shop_id)),
        ("cash.currency", wrong_id(data.cash.currency)),
        ("payout_id", data.payout_id and (wrong_id(data.payout_id) or no_path_segment(data.payout_id))),
        ("payout_tool_id", data.payout_tool_id and wrong_id(data.payout_tool_id)),
    )
    repeat = repeat_of(request)
    payout_id = data.payout_id or (str(uuid5(NAMESPACE_URL, f"kvitt:{repeat.name}")) if repeat else None)
    wanted = NewPayout(data.party_id, data.shop_id, Cash(Minor(data.cash.amount), data.cash.currency), payout_id, data.payout_tool_id)
    return payout_view(await calls.created(wanted, repeat.begun if repeat else None, actor_of(request)))


def _made_before(payouts: PayoutService, wanted: NewPayout, begun: Begun, actor: Actor) -> Payout | None:
    """The payout that the same request made before; None where another one made it."""
    if wanted.payout_id is None:
        return None
    there = payouts.get(wanted.payout_id)
    ours = there.created_at >= begun.first_at and (there.party_id, there.shop_id) == (wanted.party_id, wanted.shop_id)
    return there if ours and payouts.asked_for_by(wanted.payout_id) == (actor.channel, actor.name) else None


@get("/{payout_id:str}", guards=_READ, responses=PROBLEMS, summary="Show a payout")
async def show(payout_id: NamedPayout, calls: NamedDependency[PayoutCalls]) -> PayoutView:
    """The payout as it stands."""
    return payout_view(await settled(calls.payouts.look(payout_id)))


@get("/", guards=_READ, responses=PROBLEMS, summary="List payouts, newest first")
async def page(
    calls: NamedDependency[PayoutCalls],
    *,
    after: Cursor = None,
    limit: Limit = 100,
    party_id: Annotated[str | None, Parameter(max_length=256, description="only those of this party")] = None,
    shop_id: Annotated[str | None, Parameter(max_length=256, description="only those of this shop")] = None,
    status: Annotated[PayoutStatus | None, Parameter(description="only those in this state")] = None,
) -> PayoutPage:
    """A page of payouts."""
    if wrong := [
        (name, "must not contain NUL") for name, text in (("party_id", party_id), ("shop_id", shop_id)) if not can_be_stored(text or "")
    ]:
        raise BadRequest(*wrong)
    place = decode_cursor(after, (str, str), _place)
    found = await calls.work.on_thread(lambda: calls.payouts.page(place, limit + 1, party_id=party_id, shop_id=shop_id, status=status))
    shown, following = cut(found, limit, lambda last: (instant_text(last.created_at), last.payout_id))
    return PayoutPage([payout_view(each) for each in shown], following)


@post(
    "/{payout_id:str}/confirm",
    guards=[may_alone(Permission.PAYOUTS_WRITE, "payout confirm")],
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Confirm a payout",
)
async def confirm(request: Request[Any, Any, Any], payout_id: NamedPayout, calls: NamedDependency[PayoutCalls]) -> PayoutView:
    """The money moves; a payout that is confirmed already stays so."""
    actor = actor_of(request)
    return payout_view(await calls.done(confirmation(payout_id, actor=actor), lambda: calls.payouts.confirm(payout_id, actor=actor)))


@post(
    "/{payout_id:str}/cancel",
    guards=[may_alone(Permission.PAYOUTS_WRITE, "payout cancel")],
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Cancel a payout",
)
async def cancel(
    request: Request[Any, Any, Any],
    payout_id: NamedPayout,
    data: JSONBody[CancelBody],
    calls: NamedDependency[PayoutCalls],
) -> PayoutView:
    """Releases what was held, and moves back what had moved; a payout that is cancelled already keeps its details."""
    refuse_flawed(("details", wrong_text(data.details, required=True)))
    actor = actor_of(request)
    command = cancellation(payout_id, data.details, actor=actor)
    return payout_view(await calls.done(command, lambda: calls.payouts.cancel(payout_id, data.details, actor=actor)))


@get("/{payout_id:str}/events", guards=_READ, responses=PROBLEMS, summary="List the events of a payout")
async def events(payout_id: NamedPayout, calls: NamedDependency[PayoutCalls]) -> EventList:
    """The published events, in order, each sequence number once."""
    found = await calls.work.on_thread(lambda: calls.payouts.events(payout_id))
    return EventList([EventView(each.sequence, each.at, each.status) for each in found])


def _place(moment: str, payout_id: str) -> PayoutCursor:
    if not is_payout_id(payout_id):
        raise ValueError("no payout's id")
    return PayoutCursor(parse_instant(moment), payout_id)
