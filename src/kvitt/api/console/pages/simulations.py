"""Simulations: a list, all of them or of one case, and one with what was asked, what the rail answered, and how that differs."""

from collections import defaultdict
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.disbursement.simulation_requests import SimulationState
from kvitt.errors import BadRequest, NotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("simulations", "kvitt.api.console.pages")
STATES: Final = tuple(each.value for each in SimulationState)
_LOOKED_THROUGH: Final = 1_000
_LAST: Final = 9_223_372_036_854_775_807
_MOST_QUESTIONS: Final = 100


class SimulationInList(NamedTuple):
    """A simulation in a list; `is_end`: behind it nothing was looked at, `fits`: it is one of those that were asked for."""

    request_no: int
    asker: str
    contract: str
    case_no: int
    scheme: str
    case_id: str
    rail: str
    state: str
    requested_at: datetime
    ended_at: datetime | None
    reason: str | None
    is_end: bool
    fits: bool


class SimulationOnPage(NamedTuple):
    """One simulation as it stands."""

    request_no: int
    asker: str
    contract: str
    caller: str | None
    message_no: int | None
    case_no: int
    scheme: str
    case_id: str
    rail: str
    state: str
    requested_at: datetime
    asked_at: datetime | None
    times_asked: int
    ended_at: datetime | None
    reason: str | None
    deadline: datetime | None


class QuestionOnPage(NamedTuple):
    """A question about one order, the answer, and what was found by it where the order is checked."""

    place: int
    area: str
    order_id: UUID | None
    attempts: int
    status: int | None
    reason: str | None
    note: str | None
    question: bytes
    answer: bytes | None
    mode: str | None
    finding: str | None


class DifferenceOnPage(NamedTuple):
    """Days on which the rail would pay otherwise than is expected."""

    order_id: UUID
    kind: str
    class_code: str
    first_day: date
    last_day: date
    expected_kroner: Kroner
    simulated_kroner: Kroner


def read_all(visit: Visit) -> Values:
    """A page of simulations, newest first. Raises BadRequest."""
    state, case_no, after = visit.query.get("state"), _number(visit.query.get("case")), place_in(visit.query.get(AFTER), int)
    if state not in (None, *STATES):
        raise BadRequest(("state", f"is one of {', '.join(STATES)}"))
    looked_through = _LOOKED_THROUGH if state else visit.page_rows + 1
    before = after[0] if after else _LAST
    asked = {"before": before, "state": state, "case_no": case_no, "looked_through": looked_through, "limit": visit.page_rows + 2}
    found = fetch(visit.connection, SimulationInList, _SQL.simulations if case_no is None else _SQL.simulations_of_case, asked)
    if case_no is not None and found:
        visit.look_at_case("simulations", case_no)
    page = listed([each for each in found if each.fits], lambda each: (each.request_no,), after, visit.page_rows)
    end = None if page.older or not found or not found[-1].is_end else found[-1]
    kept = {name: value for name, value in visit.query.items() if name in ("state", "case")}
    older = page.older or (str(end.request_no) if end else None)
    return {"simulations": page, "older": older, "end": end, "query": kept, "states": STATES, "looked_through": looked_through}


def version(visit: Visit) -> str:
    """That of the simulations of a case, at which each look is noted; all of them have none. Raises BadRequest."""
    case_no = _number(visit.query.get("case"))
    return "" if case_no is None else fetch_value(visit.connection, _SQL.version_of_case, {"case_no": case_no}) or "none"


def _number(text: str | None) -> int | None:
    if text is not None and not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest(("case", "is the number of a case"))
    return None if text is None else int(text)


def read_one(visit: Visit) -> Values:
    """One simulation. Raises NotFound."""
    simulation = simulation_on_page(visit)
    asked = {"request_no": simulation.request_no, "limit": _MOST_QUESTIONS}
    questions = fetch(visit.connection, QuestionOnPage, _SQL.questions, asked)
    differences: dict[UUID, list[DifferenceOnPage]] = defaultdict(list)
    order_ids = [each.order_id for each in questions if each.order_id]
    for each in fetch(visit.connection, DifferenceOnPage, _SQL.differences, {**asked, "order_ids": order_ids}):
        differences[each.order_id].append(each)
    return {"simulation": simulation, "questions": questions, "differences": differences}


def version_of_one(visit: Visit) -> str:
    """That of one simulation: how far it has come, and what was found by it."""
    return fetch_value(visit.connection, _SQL.simulation_version, {"request_no": visit.path["request_no"]}) or ""


def simulation_on_page(visit: Visit) -> SimulationOnPage:
    """The simulation that the address names; the look is noted. Raises NotFound."""
    simulation = fetch_one(visit.connection, SimulationOnPage, _SQL.simulation, {"request_no": visit.path["request_no"]})
    if simulation is None:
        raise NotFound("there is no such simulation")
    visit.look_at_case(f"simulation {simulation.request_no}", simulation.case_no)
    return simulation


PAGES: Final = (
    ConsolePage(
        "/simulations", "Simulations", "simulations.html", read_all, nav="Simulations", key="m", live="simulations", version=version
    ),
    ConsolePage(
        "/simulations/{request_no:int}", "Simulation", "simulation.html", read_one, live="simulations orders", version=version_of_one
    ),
)
