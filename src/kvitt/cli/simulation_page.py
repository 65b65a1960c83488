"""A simulation for the eye and for `--json`: who asked, what came of it, its months, and its days, those that follow each other folded."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

from msgspec import Struct, to_builtins

from kvitt.cli.listing import Column, Fit, described, prose, table, terminal_width
from kvitt.cli.text import kroner
from kvitt.disbursement.calendar import SATURDAY
from kvitt.disbursement.simulation import NothingComputed, Simulation, SimulationFailure, SimulationOutcome, of_case
from kvitt.disbursement.simulation_figures import SimulatedFigures, figures, summaries
from kvitt.disbursement.simulation_requests import RequestWithQuestions, StoredRequest
from kvitt.kernel.clock import oslo
from kvitt.kernel.money import Kroner

StoredOutcome = tuple[RequestWithQuestions, SimulationOutcome | None]


def _seconds(request: StoredRequest) -> float | None:
    """How long the rail had it."""
    return None if request.asked_at is None or request.ended_at is None else (request.ended_at - request.asked_at).total_seconds()


REQUESTS: Final = (
    Column("request_no", "no"),
    Column("state", of=lambda each: each.state.value),
    Column("asker", "asked by", of=lambda each: each.asker.value),
    Column("caller"),
    Column("scheme", of=lambda each: each.scheme.value),
    Column("case_id", "case"),
    Column("message_no", "message"),
    Column("requested_at", "asked for"),
    Column("ended_at", "ended"),
    Column("rail_seconds", "s at the rail", of=_seconds, show=lambda each: "" if (took := _seconds(each)) is None else f"{took:.1f}"),
    Column("times_asked", kind=Fit.HIDDEN),
    Column("asked_at", kind=Fit.HIDDEN),
    Column("deadline", kind=Fit.HIDDEN),
    Column("contract", kind=Fit.HIDDEN),
    Column("rail", kind=Fit.HIDDEN),
    Column("reason", "why", Fit.TEXT),
)
_MONTHS: Final = (
    Column("start", "from"),
    Column("end", "to"),
    Column("paid_before_kroner", "paid before", Fit.NUMBER, of=lambda each: each.paid_before),
    Column("new_pay_kroner", "new pay", Fit.NUMBER, of=lambda each: each.new_pay),
    Column("back_pay_kroner", "back pay", Fit.NUMBER, of=lambda each: each.back_pay),
    Column("recovery_kroner", "recovery", Fit.NUMBER, of=lambda each: each.recovery),
)


class FoldedDays(Struct, frozen=True):
    """Days with nothing but weekends between, each with these figures for a class code; `days` None: they can not be distinguished."""

    start: date
    end: date
    days: int | None
    class_code: str
    paid_before: Kroner
    pays: Kroner
    recovered: Kroner


_DAYS: Final = (
    Column("start", "from"),
    Column("end", "to"),
    Column("days", "days", Fit.NUMBER, show=lambda each: "as one" if each.days is None else f"each of {each.days}"),
    Column("class_code", "class"),
    Column("paid_before_kroner", "paid before", Fit.NUMBER, of=lambda each: each.paid_before),
    Column("pays_kroner", "pays", Fit.NUMBER, of=lambda each: each.pays),
    Column("recovered_kroner", "recovered", Fit.NUMBER, of=lambda each: each.recovered),
)


def folded_days(found: Sequence[SimulatedFigures]) -> list[FoldedDays]:
    """The figures of days, those folded that follow each other and are alike."""
    by_code = sorted(found, key=lambda each: (each.class_code, each.start, each.end))
    folded: list[FoldedDays] = []
    for _, alike in groupby(by_code, key=lambda each: each.class_code):
        for each in alike:
            one = FoldedDays(each.start, each.end, 1 if each.start == each.end else None, *_figures(each))
            if folded and _goes_on(folded[-1], one):
                last = folded.pop()
                one = FoldedDays(last.start, one.end, (last.days or 0) + 1, *_figures(each))
            folded.append(one)
    return sorted(folded, key=lambda each: (each.start, each.end, each.class_code))


def _figures(each: SimulatedFigures | FoldedDays) -> tuple[str, Kroner, Kroner, Kroner]:
    return each.class_code, each.paid_before, each.pays, each.recovered


def _goes_on(last: FoldedDays, one: FoldedDays) -> bool:
    """Whether a day has what the days before it have, with nothing but a weekend between."""
    if last.days is None or one.days is None or _figures(last) != _figures(one):
        return False
    between = [last.end + timedelta(days=count) for count in range(1, (one.start - last.end).days)]
    return all(day.weekday() >= SATURDAY for day in between) and len(between) <= 2


class _FiguresOfCase(Struct, frozen=True):
    """The figures of the case that was asked about, as page and document have them, and what was left out."""

    months: Sequence[Any]
    days: Sequence[FoldedDays]
    left_out: Sequence[Any]
    total: Kroner


def _figures_of_case(found: RequestWithQuestions, simulation: Simulation) -> _FiguresOfCase:
    request = found.request
    own, left_out = of_case(simulation, request.scheme, request.case_id)
    today = oslo(request.requested_at).date()
    return _FiguresOfCase(summaries(own, today), folded_days(figures(own)), left_out, simulation.total)


def simulation_lines(found: RequestWithQuestions, outcome: SimulationOutcome | None) -> Iterator[str]:
    """The parts of the page, top to bottom. It names no person that is paid; `--json` has the rows, --answer the rail's own bytes."""
    yield from described(REQUESTS, found.request, terminal_width())
    yield ""
    yield from outcome_lines(found, outcome)


def outcome_lines(found: RequestWithQuestions, outcome: SimulationOutcome | None) -> Iterator[str]:
    """Says how it ended."""
    match outcome:
        case None:
            yield from prose("the rail has not answered yet")
        case SimulationFailure():
            yield from prose(f"there is no simulation ({outcome.reason.value}): {outcome.text}")
        case NothingComputed():
            yield from prose(f"the rail takes it, and would pay nothing{f': {outcome.text}' if outcome.text else ''}")
        case Simulation():
            yield from _simulation(_figures_of_case(found, outcome))


def _simulation(found: _FiguresOfCase) -> Iterator[str]:
    width = terminal_width()
    yield "by month (kroner)"
    yield from table(_MONTHS, found.months, width)
    yield ""
    yield "by day (kroner a day)"
    yield from table(_DAYS, found.days, width)
    if found.left_out:
        others = ", ".join(f"{each.area} {each.case_id}" for each in found.left_out)
        yield from prose(f"left out are other cases of the person, or other areas: {others}")
    yield from prose(f"the rail's own total, after tax and deductions, other cases included: {kroner(found.total)}")


def _document(found: StoredOutcome) -> object:
    """The outcome, for `--json`; amounts are whole kroner."""
    request, outcome = found
    if not isinstance(outcome, Simulation):
        return None if outcome is None else to_builtins(outcome)
    findings = _figures_of_case(request, outcome)
    return {
        "months": _rows(_MONTHS, findings.months),
        "days": _rows(_DAYS, findings.days),
        "left_out": to_builtins(findings.left_out),
        "total_kroner": findings.total,
        "rows": to_builtins(outcome.periods),
    }


def _rows(columns: Sequence[Column], rows: Sequence[object]) -> list[dict[str, object]]:
    return [{column.name: column.value(row) for column in columns} for row in rows]


def _kind(found: StoredOutcome) -> str:
    match found[1]:
        case None:
            return "open"
        case SimulationFailure():
            return "failure"
        case NothingComputed():
            return "nothing"
        case _:
            return "simulation"


SIMULATED: Final = (
    *(Column(each.name, of=lambda found, each=each: each.value(found[0].request)) for each in REQUESTS),  # type: ignore[misc]
    Column("outcome", of=_kind),
    Column("simulation", of=_document),
)
"""One simulation as one object; `outcome` says whether `simulation` is one, why there is none, or what the rail said of nothing."""
