"""Approvals: what people ask for, what it would do, and the word of another person about it; and what each person decided in a month.

Who may approve sees all of them, who asks sees their own; for anybody else there are none (design §11, §17).
"""

from collections.abc import Sequence
from datetime import datetime
from difflib import ndiff
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import json

from kvitt.api.console.exports import MOST_ROWS
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.api.console.pages.case_change import change_by_order
from kvitt.api.console.pages.orders import version_of
from kvitt.api.console.words import does
from kvitt.api.people.approving import check_sum_of, effect_now, is_of, not_there, visible
from kvitt.api.people.claims import ConsoleRole
from kvitt.api.people.identity import known
from kvitt.errors import ApprovalLapsed, BadRequest, EffectChanged
from kvitt.kernel.approvals import Approval, ApprovalState
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.money import Kroner, Minor
from kvitt.kernel.queries import load
from kvitt.ledger.transfer import Transfer

_SQL: Final = load("approvals", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_MOST: Final = 200
_DECEMBER: Final = 12


class ApprovalInList(NamedTuple):
    """An act that was asked for; `is_taken_back`: by the one who had asked."""

    approval_no: int
    act: str
    subject: str
    asked_by: str
    asked_name: str | None
    reason: str
    asked_at: datetime
    lapses_at: datetime
    state: str
    decided_at: datetime | None
    decided_by: str | None
    decided_name: str | None
    outcome: str | None
    is_taken_back: bool | None


class OrderActedOn(NamedTuple):
    """The order that an act is about."""

    order_id: UUID
    case_no: int
    scheme: str
    case_id: str
    number: int
    area: str
    state: str
    is_held: bool
    sum_kroner: Kroner


class AmountMoved(NamedTuple):
    """How much a payout pays, or a transfer moves."""

    amount_minor: Minor
    currency: str


def read_all(visit: Visit) -> Values:
    """All that waits for a second person, and a page of what was decided, newest first."""
    after = place_in(visit.query.get(AFTER), int)
    asked = {**_whose(visit), "before": after[0] if after else None}
    waits = fetch(visit.connection, ApprovalInList, _SQL.open_approvals, {**asked, "limit": MOST_ROWS if visit.takes_out else _MOST})
    ended = fetch(visit.connection, ApprovalInList, _SQL.ended_approvals, {**asked, "limit": visit.page_rows + 1})
    return {
        "waits": waits,
        "ended": listed(ended, lambda each: (each.approval_no,), after, visit.page_rows),
        "sees_all": asked["all"],
        "most": _MOST,
    }


def read_mine(visit: Visit) -> Values:
    """All that the person who looks has approved, refused and asked for in a month. Raises BadRequest."""
    year, month = _month(visit)
    since, until = (datetime(*each, 1, tzinfo=_OSLO) for each in ((year, month), _later(year, month)))
    asked = {**_whose(visit), "since": since, "until": until, "limit": _MOST}
    decided = fetch(visit.connection, ApprovalInList, _SQL.decided_in_month, asked)
    return {
        "approved": [each for each in decided if each.state in (ApprovalState.CONFIRMED, ApprovalState.FAILED)],
        "refused": [each for each in decided if each.state == ApprovalState.REFUSED],
        "asked": fetch(visit.connection, ApprovalInList, _SQL.asked_in_month, asked),
        "month": since,
        "earlier": "{:04}-{:02}".format(*((year, month - 1) if month > 1 else (year - 1, _DECEMBER))),
        "later": "{:04}-{:02}".format(*_later(year, month)) if until <= visit.now else None,
        "most": _MOST,
    }


def read_one(visit: Visit) -> Values:
    """One approval, as it was asked for and as it stands. Raises ApprovalNotFound, also for who may not see it."""
    return _shown(visit, _found(visit))


class _ApprovalVersion(NamedTuple):
    act: str
    subject: str
    progress: str


def version(visit: Visit) -> str:
    """That of an approval: how far it has come, and of the order that it is about."""
    found = fetch_one(visit.connection, _ApprovalVersion, _SQL.approval_version, {"approval_no": visit.path["approval_no"]})
    order = order_acted_on(visit, found.subject) if found and found.act.startswith("order ") else None
    return "" if found is None else f"{found.progress}-{version_of(visit, order.order_id) if order else 'of no order'}"


def approve(visit: Visit) -> Values | Redirect:
    """Does what was asked for, if it still is what the approver saw. Raises what confirming raises."""
    approval = _found(visit)
    visit.operations.step_up.require(visit.connection, approval, visit.who, visit.now)
    try:
        visit.operations.approvals(visit.connection).confirm(
            approval.approval_no, visit.who.person, known(visit.who), seen=visit.form.get("seen", "")
        )
    except (EffectChanged, ApprovalLapsed) as refusal:
        # An answer, and no error: what the approval has become stays.
        visit.answer_status = refusal.status
        return {**_shown(visit, _found(visit)), "refusal": str(refusal)}
    return Redirect(f"/approvals/{approval.approval_no}")


def refuse(visit: Visit) -> Redirect:
    """Says no, with the reason. Raises BadOperator, ApprovalNotFound, NotInThatState."""
    return _refused(visit, _found(visit))


def take_back(visit: Visit) -> Redirect:
    """The one who asked asks no more. Raises BadOperator, NotInThatState, and ApprovalNotFound for anybody else."""
    approval = _found(visit)
    if not is_of(approval, visit.who):
        raise not_there(approval.approval_no)
    return _refused(visit, approval)


def _refused(visit: Visit, approval: Approval) -> Redirect:
    approvals, reason = visit.operations.approvals(visit.connection), visit.form.get("reason", "")
    approvals.refuse(approval.approval_no, visit.who.person, reason, known(visit.who))
    return Redirect(f"/approvals/{approval.approval_no}")


def _found(visit: Visit) -> Approval:
    return visible(visit.operations.approvals(visit.connection), visit.path["approval_no"], visit.who)


def _shown(visit: Visit, approval: Approval) -> Values:
    order = order_acted_on(visit, approval.subject) if approval.act.startswith("order ") else None
    if order:
        visit.look_at_case(f"approval {approval.approval_no}", order.case_no)
    else:
        visit.look(f"approval {approval.approval_no}")
    is_open = approval.state == ApprovalState.ASKED and visit.now < approval.lapses_at
    now, why_not = effect_now(visit.operations.approvals(visit.connection), approval) if is_open else (None, None)
    first = approval.first_effect or approval.effect
    return {
        "approval": approval,
        "order": order,
        "change": change_by_order(visit, order.case_no, order.order_id, order.number) if order else None,
        "amount": _amount(visit, approval),
        "check_sum": check_sum_of(visit.connection, approval) if approval.act == "orders resend" else None,
        "does": does(approval.act),
        "is_open": is_open,
        "is_mine": is_of(approval, visit.who),
        "may_approve": is_open and visit.may(ConsoleRole.APPROVE) and not approval.is_of(visit.who.person, known(visit.who)),
        "logs_in_anew": is_open and visit.operations.step_up.lacks(visit.connection, approval, visit.who, visit.now),
        "may_refuse": is_open and visit.may(ConsoleRole.APPROVE) and not is_of(approval, visit.who),
        "first": first,
        "effect": now,
        "why_not": why_not,
        "changes": changes(first, (now.text if now else approval.effect)),
        "refusal": None,
    }


def _amount(visit: Visit, approval: Approval) -> AmountMoved | None:
    if approval.act == "ledger transfer":
        asked = json.decode(approval.arguments, type=Transfer)
        return AmountMoved(asked.amount, asked.currency)
    if approval.act.startswith("payout "):
        return fetch_one(visit.connection, AmountMoved, _SQL.amount_of_payout, {"payout_id": approval.subject})
    return None


def changes(before: str, after: str) -> Sequence[tuple[str, str]]:
    """Lines that are in one text and not in the other, each with `was` or `is`; none where the texts are equal."""
    lines = ndiff(before.splitlines(), after.splitlines())
    return [("was" if each[0] == "-" else "is", each[2:]) for each in lines if each[0] in "-+"]


def order_acted_on(visit: Visit, order_id: str) -> OrderActedOn | None:
    """The order that an act is about, if there is one by this id."""
    try:
        return fetch_one(visit.connection, OrderActedOn, _SQL.order_in_short, {"order_id": UUID(order_id)})
    except ValueError:
        return None


def _whose(visit: Visit) -> dict[str, object]:
    return {"all": visit.may(ConsoleRole.APPROVE), "issuer": visit.who.issuer, "person": visit.who.person}


def _month(visit: Visit) -> tuple[int, int]:
    text = visit.query.get("month")
    if text is None:
        local = visit.now.astimezone(_OSLO)
        return local.year, local.month
    try:
        found = datetime.strptime(text, "%Y-%m").replace(tzinfo=_OSLO)
    except ValueError:
        raise BadRequest(("month", "is a month, such as 2026-05")) from None
    if not 2000 < found.year < 2200:
        raise BadRequest(("month", "is a month, such as 2026-05"))
    return found.year, found.month


def _later(year: int, month: int) -> tuple[int, int]:
    return (year, month + 1) if month < _DECEMBER else (year + 1, 1)


_ONE: Final = "/approvals/{approval_no:int}"
_APPROVER, _ASKER = ConsoleRole.APPROVE, ConsoleRole.ACT
PAGES: Final = (
    ConsolePage("/approvals", "Approvals", "approvals.html", read_all, nav="Approvals", key="v", live="approvals"),
    ConsolePage("/approvals/mine", "My approvals", "my_approvals.html", read_mine, live="approvals"),
    ConsolePage(_ONE, "Approval", "approval.html", read_one, acts=True, live="approvals orders receipts", version=version),
    ConsolePage(f"{_ONE}/approve", "Approval", "approval.html", approve, role=_APPROVER, posted=True, acts=True),
    ConsolePage(f"{_ONE}/refuse", "Approval", "approval.html", refuse, role=_APPROVER, posted=True, acts=True),
    ConsolePage(f"{_ONE}/take-back", "Approval", "approval.html", take_back, role=_ASKER, posted=True, acts=True),
)
