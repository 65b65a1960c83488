"""How pages act: an act is shown with what it would do, and done, or asked for, if that is still so when its form comes (design §17)."""

from typing import Any, Final

from msgspec import Struct

from kvitt.api.console.frame import Redirect, Values, Visit
from kvitt.api.console.words import does
from kvitt.api.people.identity import known
from kvitt.errors import BadOperator, EffectChanged, KvittError, NotInThatState
from kvitt.kernel.approvals import ShownEffect
from kvitt.kernel.operators import Operator

_RETURNED: Final = (BadOperator, EffectChanged, NotInThatState)
"""Errors after which the form is shown anew, with what is as it is by now."""


class ActOnPage(Struct, frozen=True):
    """An act with its arguments, as a page offers it; `back` is where it leads when one person has done it alone."""

    name: str
    arguments: Any
    back: str


def offered(visit: Visit, act: ActOnPage, refusal: str | None = None) -> Values:
    """All that the form of an act shows: its effect as things stand, or why it can not be done."""
    effect, why_not = _effect(visit, act)
    return {
        "act": act,
        "does": does(act.name),
        "alone": visit.operations.approvals(visit.connection).is_alone(act.name),
        "effect": effect,
        "why_not": why_not,
        "refusal": refusal,
        "given": visit.form.get("reason", ""),
    }


def taken(visit: Visit, act: ActOnPage) -> Values | Redirect:
    """Does an act, or asks for it where two people do it; the form anew where it would do something else than what it showed.

    Raises what the act raises.
    """
    seen = visit.form.get("seen", "")
    try:
        operator = Operator(visit.who.person, visit.form.get("reason", ""))
        approvals = visit.operations.approvals(visit.connection)
        if approvals.is_alone(act.name):
            approvals.do(act.name, act.arguments, operator, seen=seen)
            return Redirect(act.back)
        asked = approvals.ask(act.name, act.arguments, operator, known(visit.who), seen=seen)
    except _RETURNED as refusal:
        visit.answer_status = refusal.status
        return offered(visit, act, str(refusal))
    return Redirect(f"/approvals/{asked.approval_no}")


def _effect(visit: Visit, act: ActOnPage) -> tuple[ShownEffect | None, str | None]:
    try:
        return visit.operations.approvals(visit.connection).effect_of(act.name, act.arguments), None
    except KvittError as error:
        return None, str(error)
