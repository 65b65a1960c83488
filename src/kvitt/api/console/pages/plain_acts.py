"""Acts on one thing that has a page: what is done is shown above a form with a reason, and nothing else is asked (design §11, §17)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from re import sub
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.keyset import text_asked
from kvitt.api.console.pages import dead_letters, payouts
from kvitt.api.console.pages.dead_letters import letter_on_page
from kvitt.api.console.pages.payouts import payout_on_page
from kvitt.api.console.pages.reconciliation import run_on_page, version_of_run
from kvitt.api.console.pages.records import receipt_on_page, receipt_version
from kvitt.api.console.pages.simulations import simulation_on_page, version_of_one
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.closing_acts import NumberNamed
from kvitt.disbursement.limit_acts import LimitCleared
from kvitt.disbursement.reconcile.acts import RunNamed, RunResolved
from kvitt.payouts.approvable import PayoutNamed


class SubjectOfAct(NamedTuple):
    """Whatever an act is about: how it is called, and its page."""

    called: str
    path: str


class PlainAct(NamedTuple):
    """An act with its page. `about` finds the subject, or raises; `advice` stands above the effect.

    `carried` are the parts of the query by which the subject is known, where it is not by the path.
    """

    path: str
    act: str
    about: Callable[[Visit], SubjectOfAct]
    arguments: Callable[[Visit], Any]
    advice: str = ""
    carried: Sequence[str] = ()


def _answer(each: PlainAct, answer: Callable[[Visit, ActOnPage], Values | Redirect], visit: Visit) -> Values | Redirect:
    subject = each.about(visit)
    answered = answer(visit, ActOnPage(each.act, each.arguments(visit), subject.path))
    if isinstance(answered, Redirect):
        return answered
    at = sub(r"\{(\w+):\w+\}", lambda part: str(visit.path[part[1]]), each.path)
    return {**answered, "subject": subject, "advice": each.advice, "at": at, "carried": {name: said(visit, name) for name in each.carried}}


def said(visit: Visit, name: str) -> str:
    """A text that a form carries, or the address of its page; empty where neither does. Raises BadRequest."""
    return text_asked(visit.form or visit.query, name) or ""


def payout_of(visit: Visit) -> SubjectOfAct:
    """The payout that the query names. Raises PayoutNotFound, BadRequest."""
    payout = payout_on_page(visit, said(visit, "id"))
    return SubjectOfAct(f"payout {payout.payout_id}", f"/payouts/one?id={quote(payout.payout_id, safe='')}")


def _letter(visit: Visit) -> SubjectOfAct:
    number = letter_on_page(visit).dead_no
    visit.look(f"dead letter {number}, to close it")
    return SubjectOfAct(f"dead letter {number}", f"/dead-letters/{number}")


def _receipt(visit: Visit) -> SubjectOfAct:
    number = receipt_on_page(visit).receipt_no
    return SubjectOfAct(f"receipt {number}", f"/receipts/{number}")


def _simulation(visit: Visit) -> SubjectOfAct:
    number = simulation_on_page(visit).request_no
    return SubjectOfAct(f"simulation {number}", f"/simulations/{number}")


def _run(visit: Visit) -> SubjectOfAct:
    run = run_on_page(visit)
    visit.look(f"run {run.run_no} of reconciliation, to act on it")
    return SubjectOfAct(f"run {run.run_no} of {run.area}", f"/reconciliation/{run.run_no}")


def _limit(visit: Visit) -> SubjectOfAct:
    return SubjectOfAct(said(visit, "source"), "/limits/used")


def _numbered(name: str) -> Callable[[Visit], NumberNamed]:
    return lambda visit: NumberNamed(visit.path[name])


def _payout_named(visit: Visit) -> PayoutNamed:
    return PayoutNamed(said(visit, "id"))


def _resolved(visit: Visit, *, was_put: bool) -> RunResolved:
    return RunResolved(visit.path["run_no"], was_put)


_RUN: Final = "/reconciliation/{run_no:int}"
_LOOK_INTO_IT: Final = "Look into the queue, and ask the rail's people, before."
_ACTS: Final = (
    PlainAct("/dead-letters/{dead_no:int}/close", "dead close", _letter, _numbered("dead_no")),
    PlainAct("/receipts/{receipt_no:int}/close", "receipt close", _receipt, _numbered("receipt_no")),
    PlainAct("/simulations/{request_no:int}/again", "simulation again", _simulation, _numbered("request_no")),
    PlainAct(
        f"{_RUN}/again",
        "reconcile again",
        _run,
        lambda visit: RunNamed(visit.path["run_no"]),
        "For a run that never arrived, and for no other: a difference that the rail has found is handed over by people.",
    ),
    PlainAct(f"{_RUN}/drop", "reconcile drop", _run, lambda visit: RunNamed(visit.path["run_no"])),
    PlainAct(f"{_RUN}/was-put", "reconcile resolve", _run, partial(_resolved, was_put=True), _LOOK_INTO_IT),
    PlainAct(f"{_RUN}/was-not-put", "reconcile resolve", _run, partial(_resolved, was_put=False), _LOOK_INTO_IT),
    PlainAct(
        "/payouts/confirm", "payout confirm", payout_of, _payout_named, "Once it is confirmed, only a reversal brings it back.", ("id",)
    ),
    PlainAct("/payouts/paid", "payout paid", payout_of, _payout_named, "The bank has taken its order. Nothing moves yet.", ("id",)),
    PlainAct("/limits/clear", "limits clear", _limit, lambda visit: LimitCleared(said(visit, "source")), carried=("source",)),
    PlainAct("/payouts/republish", "payout republish", payout_of, _payout_named, carried=("id",)),
)


_WATCHED: Final[Mapping[Callable[[Visit], SubjectOfAct], tuple[str, Callable[[Visit], str]]]] = {
    _letter: ("messages", dead_letters.version),
    _receipt: ("receipts orders", receipt_version),
    _simulation: ("simulations orders", version_of_one),
    _run: ("reconciliation", version_of_run),
    payout_of: ("payouts", payouts.version),
}
"""At which changes it is looked whether a subject is as the page of its act shows it, and how; at a limit it is not."""


def _pages(each: PlainAct) -> Iterator[ConsolePage]:
    (live, version), role = _WATCHED.get(each.about, ("", None)), ConsoleRole.ACT
    yield ConsolePage(each.path, "Act", "plain_act.html", partial(_answer, each, offered), role=role, acts=True, live=live, version=version)
    yield ConsolePage(each.path, "Act", "plain_act.html", partial(_answer, each, taken), role=role, posted=True, acts=True)


PAGES: Final = tuple(page for each in _ACTS for page in _pages(each))
