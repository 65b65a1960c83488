"""Approvals over REST: what people ask for, what it would do, and the word of another person about it, as on pages (design §11, §17)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody, Parameter
from litestar.router import Router
from msgspec import Meta, Struct
from psycopg_pool import ConnectionPool

from kvitt.api.people.approving import StepUp, effect_now, is_of, order_of, visible
from kvitt.api.people.claims import ConsolePerson, ConsoleRole
from kvitt.api.people.identity import PeopleOfTokens, known, need_role
from kvitt.api.people.masking import masked
from kvitt.api.rest.routes import (
    PROBLEMS,
    Cursor,
    Limit,
    Repeatable,
    RouteWork,
    cut,
    decode_cursor,
    may_as_person,
    person_in,
)
from kvitt.kernel.approvals import Approval, Approvals, ApprovalState, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("approvals", "kvitt.api.rest")
_LOOKS: Final = load("people", "kvitt.api.people")
_MOST: Final = 2**63 - 1
NamedApproval = Annotated[int, Parameter(ge=1, le=_MOST, description="the approval's number")]
Code = Annotated[str, Meta(pattern="^[0-9a-f]{8,64}$", description="the `code` of the effect that was seen", examples=["5f2c0d3a"])]
WhyRefused = Annotated[str, Meta(min_length=5, max_length=1000, description="why; it stands in the audit chain")]


class ConfirmBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Confirms the effect that was seen, and no other one."""

    seen: Code


class RefuseBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Refuses what was asked for, or takes it back."""

    reason: WhyRefused


class EffectView(Struct, frozen=True):
    """The effect of an act in words; `code` names it."""

    text: str
    code: str


class AskedView(Struct, frozen=True):
    """An act that was asked for."""

    approval_no: int
    act: str
    subject: str
    asked_by: str
    asked_name: str | None
    reason: str
    asked_at: datetime
    lapses_at: datetime
    state: ApprovalState


class ApprovalView(AskedView, frozen=True):
    """An act that was asked for, as it stands.

    `effect` is what it was shown to do last, `now` what it would do by now, or `could_not` why it could not be done: while it is open.
    """

    is_mine: bool
    effect: EffectView
    now: EffectView | None
    could_not: str | None
    decided_at: datetime | None
    decided_by: str | None
    decided_name: str | None
    decided_because: str | None
    outcome: str | None


class ApprovalPage(Struct, frozen=True):
    """Approvals, newest first, and the cursor of the page behind."""

    approvals: Sequence[AskedView]
    next: str | None


class ApprovalCalls(Struct, frozen=True):
    """The approvals of an installation, and whose tokens may ask about them."""

    pool: ConnectionPool[Any]
    approvals: Callable[[Connection], Approvals]
    people: PeopleOfTokens
    clock: Clock
    step_up: StepUp

    def page(self, who: ConsolePerson, before: int | None, limit: int, state: ApprovalState | None) -> Sequence[AskedView]:
        """Approvals that this person may see, behind a place."""
        asked = {"before": before, "limit": limit, "state": state, "issuer": who.issuer, "person": who.person}
        with self.pool.connection() as connection:
            found = fetch(connection, AskedView, _SQL.approvals, {**asked, "all": ConsoleRole.APPROVE in who.roles})
        return [AskedView(**_masked(each)) for each in found]

    def show(self, who: ConsolePerson, approval_no: int) -> ApprovalView:
        """One approval; the look is noted. Raises ApprovalNotFound, also for who may not see it."""
        with self.pool.connection() as connection:
            approvals = self.approvals(connection)
            approval = visible(approvals, approval_no, who)
            self._look(connection, who, approval)
            return self._view(approvals, approval, who)

    def confirm(self, who: ConsolePerson, approval_no: int, seen: str) -> ApprovalView:
        """Does what was asked for, if it still is what was seen. Raises what confirming raises, ApprovalNotFound, NotPermitted."""
        with self.pool.connection() as connection:
            approvals = self.approvals(connection)
            approval = visible(approvals, approval_no, who)
            need_role(who, ConsoleRole.APPROVE)
            self.step_up.require(connection, approval, who, self.clock())
            return self._view(approvals, approvals.confirm(approval_no, who.person, known(who), seen=seen), who)

    def refuse(self, who: ConsolePerson, approval_no: int, reason: str) -> ApprovalView:
        """Says no, or takes back what one asked for. Raises BadOperator, NotInThatState, ApprovalNotFound, NotPermitted."""
        with self.pool.connection() as connection:
            approvals = self.approvals(connection)
            mine = is_of(visible(approvals, approval_no, who), who)
            need_role(who, ConsoleRole.ACT if mine and ConsoleRole.APPROVE not in who.roles else ConsoleRole.APPROVE)
            return self._view(approvals, approvals.refuse(approval_no, who.person, reason, known(who)), who)

    def _look(self, connection: Connection, who: ConsolePerson, approval: Approval) -> None:
        order_id = order_of(approval)
        case_no = fetch_value(connection, _SQL.case_of_order, {"order_id": order_id}) if order_id else None
        looked = {"now": self.clock(), "issuer": who.issuer, "person": who.person, "name": who.name, "case_no": case_no}
        connection.execute(_LOOKS.add_look, {**looked, "what": f"approval {approval.approval_no}, over REST"})

    def _view(self, approvals: Approvals, approval: Approval, who: ConsolePerson) -> ApprovalView:
        is_open = approval.state == ApprovalState.ASKED and self.clock() < approval.lapses_at
        now, could_not = effect_now(approvals, approval) if is_open else (None, None)
        return ApprovalView(
            **_masked(approval),
            is_mine=is_of(approval, who),
            effect=_effect(ShownEffect(approval.effect, approval.basis)),
            now=_effect(now) if now else None,
            could_not=could_not and masked(could_not),
            decided_at=approval.decided_at,
            decided_by=approval.decided_by,
            decided_name=approval.decided_name,
            decided_because=approval.decided_because and masked(approval.decided_because),
            outcome=approval.outcome and masked(approval.outcome),
        )


def _masked(each: Approval | AskedView) -> dict[str, Any]:
    """The fields of an act that was asked for, with what looks like a person's number hidden."""
    found = {name: getattr(each, name) for name in AskedView.__struct_fields__}
    return {**found, "subject": masked(each.subject), "reason": masked(each.reason), "state": ApprovalState(each.state)}


def _effect(shown: ShownEffect) -> EffectView:
    return EffectView(masked(shown.text), shown.basis.hex())


def router(calls: ApprovalCalls, work: RouteWork) -> Router:
    """The routes of approvals."""
    dependencies = {
        "approvals": Provide(lambda: calls, sync_to_thread=False, use_cache=True),
        "work": Provide(lambda: work, sync_to_thread=False, use_cache=True),
    }
    handlers = [page, show, confirm, refuse]
    return Router(
        "/approvals", route_handlers=handlers, dependencies=dependencies, guards=[may_as_person(calls.people)], tags=["approvals"]
    )


@get(
    "/",
    responses=PROBLEMS,
    summary="List approvals, newest first",
    description="All of them for who may approve; for others those that they have asked for.",
)
async def page(
    request: Request[Any, Any, Any],
    approvals: NamedDependency[ApprovalCalls],
    work: NamedDependency[RouteWork],
    *,
    after: Cursor = None,
    limit: Limit = 100,
    in_state: Annotated[ApprovalState | None, Parameter(description="only those in this state")] = None,
) -> ApprovalPage:
    """A page of approvals."""
    who, before = person_in(request), decode_cursor(after, (int,), _place)
    found = await work.on_thread(lambda: approvals.page(who, before, limit + 1, in_state))
    shown, following = cut(found, limit, lambda last: (last.approval_no,))
    return ApprovalPage(shown, following)


@get("/{approval_no:int}", responses=PROBLEMS, summary="Show an approval", description="With what it would do by now; the look is noted.")
async def show(
    request: Request[Any, Any, Any],
    approval_no: NamedApproval,
    approvals: NamedDependency[ApprovalCalls],
    work: NamedDependency[RouteWork],
) -> ApprovalView:
    """The approval as it stands."""
    who = person_in(request)
    return await work.on_thread(lambda: approvals.show(who, approval_no))


@post(
    "/{approval_no:int}/confirm",
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Confirm an approval",
    description="Does what another person has asked for, if it still would do what was seen; else nothing is done (409).",
)
async def confirm(
    request: Request[Any, Any, Any],
    approval_no: NamedApproval,
    data: JSONBody[ConfirmBody],
    approvals: NamedDependency[ApprovalCalls],
    work: NamedDependency[RouteWork],
) -> ApprovalView:
    """The approval, and what came of it: `confirmed`, or `failed` where it could not be done any more."""
    who = person_in(request)
    return await work.on_thread(lambda: approvals.confirm(who, approval_no, data.seen))


@post(
    "/{approval_no:int}/refuse",
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Refuse an approval",
    description="Nothing is done. Who has asked for it takes it back so.",
)
async def refuse(
    request: Request[Any, Any, Any],
    approval_no: NamedApproval,
    data: JSONBody[RefuseBody],
    approvals: NamedDependency[ApprovalCalls],
    work: NamedDependency[RouteWork],
) -> ApprovalView:
    """The approval, refused."""
    who = person_in(request)
    return await work.on_thread(lambda: approvals.refuse(who, approval_no, data.reason))


def _place(approval_no: int) -> int:
    if not 0 < approval_no <= _MOST:
        raise ValueError("no approval's number")
    return approval_no
