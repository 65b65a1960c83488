"""Reconciliation with the rail over REST, as the callers of earlier services know it (iverksetting §5.3)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, ClassVar, Final, cast

import msgspec
from litestar import MediaType, Request, Response, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Schema
from litestar.params import JSONBody, Parameter
from litestar.response import Stream
from litestar.router import Router
from msgspec import Meta, Struct

from kvitt.api.rest.callers import Permission
from kvitt.api.rest.routes import PROBLEMS, Repeatable, RouteWork, actor_of, may, may_alone, refuse_flawed
from kvitt.disbursement.calendar import is_working_day
from kvitt.disbursement.reconcile.calls import ReconciliationCalls
from kvitt.disbursement.reconcile.runs import DayRange
from kvitt.disbursement.values import Area, Scheme
from kvitt.errors import AlreadyReconciled, BadRequest, NotAWorkingDay

_READ, _WRITE = [may(Permission.RECONCILIATION_READ)], [may_alone(Permission.RECONCILIATION_WRITE, "reconcile run")]
_HOLIDAY: Final = "Today is a holiday or weekend, no avstemming"
_DONE: Final = "Already avstemt today ({today})"
_RUNS: Final = "Grensesnittavstemming kjører allerede for fagsystem {scheme}"
_IN_MEMORY: Final = 4 << 20
"""So many bytes of an answer are kept in memory; more are on disk."""
_PIECE: Final = 64 << 10
FIRST_DAY: Final = date(1970, 1, 2)
_LOCAL: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]{1,9})?")
_MIDNIGHT, _LAST_SECOND = time(0, 0), time(23, 59, 59)
LocalMoment = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?$",
        description="a local date and time without zone",
        examples=["2026-05-04T00:00:00"],
    ),
]


class RangeQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """The day of a run."""

    date: date


class DayRangeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A range of days on a day: from the first one's midnight to the last second of the last one, in Oslo's time."""

    today: date
    fom: LocalMoment
    tom: LocalMoment


class AreaMessages(Struct, frozen=True):
    """The messages of an area: `first` is the area, `second` holds them as XML, in their order."""

    first: str
    second: list[str]


@dataclass
class _Reconciling(Repeatable):
    """An operation whose conflict may also be said in words, in a text of this kind."""

    words: ClassVar[str] = MediaType.TEXT.value
    said: ClassVar[str] = _DONE.format(today="2026-05-05")

    def __post_init__(self) -> None:
        """Adds that kind to what a conflict is answered with."""
        super().__post_init__()
        conflict = (self.responses or {}).get("409")
        assert isinstance(conflict, OpenAPIResponse), "all routes have conflicts"
        in_words = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.STRING), examples={"words": Example(summary="done before", value=self.said)}
        )
        conflict.content = {**(conflict.content or {}), self.words: in_words}


@dataclass
class _Starting(_Reconciling):
    """The same, where the text is JSON."""

    words = MediaType.JSON.value
    said = _RUNS.format(scheme=Scheme.DAGPENGER)


_IN_WORDS: Final = {
    423: ResponseSpec(
        str,
        description="the rail does not compare today",
        media_type=MediaType.TEXT,
        generate_examples=False,
        examples=[Example(summary="no working day", value=_HOLIDAY)],
    )
}


def router(calls: ReconciliationCalls, work: RouteWork) -> Router:
    """The routes of reconciliation."""
    dependencies = {
        "reconciliations": Provide(lambda: calls, sync_to_thread=False, use_cache=True),
        "work": Provide(lambda: work, sync_to_thread=False, use_cache=True),
    }
    return Router("/", route_handlers=[next_range, reconcile, preview, start], dependencies=dependencies, tags=["reconciliation"])


@post(
    "/api/next_range",
    guards=_READ,
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Ask what is to be reconciled",
    description="From where the last run ended to the day before; a range that begins later than it ends: nothing is left.",
)
async def next_range(
    data: JSONBody[RangeQuestion], reconciliations: NamedDependency[ReconciliationCalls], work: NamedDependency[RouteWork]
) -> DayRangeBody:
    """The next range of all areas together."""
    refuse_flawed(("date", _wrong_day(data.date, reconciliations.today)))
    days = await work.on_thread(lambda: reconciliations.next_range(data.date))
    return DayRangeBody(data.date, f"{days.first}T00:00:00", f"{days.last}T23:59:59.999999999")


@post(
    "/api/avstem",
    guards=_WRITE,
    responses={**PROBLEMS, **_IN_WORDS},
    operation_class=_Reconciling,
    status_code=200,
    media_type=MediaType.TEXT,
    summary="Reconcile",
    description="Reports the orders of the range to the rail, each area in a run of its own; of what was reported before, nothing.",
)
async def reconcile(
    request: Request[Any, Any, Any],
    data: JSONBody[DayRangeBody],
    reconciliations: NamedDependency[ReconciliationCalls],
    work: NamedDependency[RouteWork],
) -> Response[bytes]:
    """Nothing, or in plain words that it was done before, or that it is not done today."""
    today, days = reconciliations.today, _days_of(data)
    refuse_flawed(("today", _wrong_day(data.today, today)), ("tom", _not_over(days.last, today)))
    if not is_working_day(data.today):
        return _in_words(423, _HOLIDAY)
    by = actor_of(request).name
    try:
        await work.on_thread(lambda: _make(reconciliations, days, by))
    except NotAWorkingDay:
        return _in_words(423, _HOLIDAY)
    except AlreadyReconciled:
        return _in_words(409, _DONE.format(today=data.today))
    return Response(b"", status_code=200, media_type=MediaType.TEXT)


@post(
    "/api/avstem/dryrun",
    guards=_READ,
    responses=PROBLEMS,
    operation_class=Repeatable,
    status_code=200,
    summary="Ask what would be reported",
    description="The messages about the range as they would be now, reported before or not; nothing is stored.",
)
async def preview(
    data: JSONBody[DayRangeBody], reconciliations: NamedDependency[ReconciliationCalls], work: NamedDependency[RouteWork]
) -> Response[list[AreaMessages]]:
    """Each area that has orders, with its messages."""
    today, days = reconciliations.today, _days_of(data)
    refuse_flawed(("today", _wrong_day(data.today, today)), ("tom", _not_over(days.last, today) or _backwards(days)))
    pieces = await work.on_thread(lambda: _written(reconciliations, days))
    # A stream has no type for what its bytes say; the description of the route takes it from the signature.
    return cast("Response[list[AreaMessages]]", Stream(pieces, media_type=MediaType.JSON))


@post(
    "/intern/avstemming/start/{fagsystem:str}",
    guards=_WRITE,
    responses={**PROBLEMS, **_IN_WORDS},
    operation_class=_Starting,
    status_code=202,
    media_type=MediaType.TEXT,
    summary="Reconcile one scheme",
    description="Reports all that is left of one scheme up to yesterday, each area in a run of its own.",
)
async def start(
    request: Request[Any, Any, Any],
    fagsystem: Annotated[str, Parameter(description="the scheme", schema_extra={"examples": ["DAGPENGER"]})],
    reconciliations: NamedDependency[ReconciliationCalls],
    work: NamedDependency[RouteWork],
) -> Response[bytes]:
    """Nothing, or in a JSON text that it is done or just being done."""
    scheme, by = _scheme(fagsystem, reconciliations), actor_of(request).name
    try:
        await work.on_thread(lambda: reconciliations.catch_up(scheme, by))
    except NotAWorkingDay:
        return _in_words(423, _HOLIDAY)
    except AlreadyReconciled:
        text = msgspec.json.encode(_RUNS.format(scheme=scheme))
        return Response(text, status_code=409, media_type=MediaType.JSON)
    return Response(b"", status_code=202, media_type=MediaType.TEXT)


def _make(calls: ReconciliationCalls, days: DayRange, by: str) -> None:
    """Reports a range; one that ends before it begins is what `next_range` says when nothing is left."""
    if days.first > days.last:
        if calls.is_reconciled(days.last):
            raise AlreadyReconciled(str(days.last))
        raise BadRequest(("tom", _BACKWARDS))
    if gap := calls.left_out(days):
        raise BadRequest(("fom", f"would leave out {gap}, which is not reconciled in every area"))
    calls.make(days, by)


def _written(calls: ReconciliationCalls, days: DayRange) -> Iterator[bytes]:
    """Writes what would be reported as a list of AreaMessages, and returns that piece by piece.

    All of it is written before the answer begins, into a file without a name where it is long: what fails is an answer of its own, and no
    caller who reads slowly keeps a transaction open.
    """
    answer = SpooledTemporaryFile[bytes](_IN_MEMORY)
    try:
        _write(calls, days, answer)
    except BaseException:
        answer.close()
        raise
    return _pieces(answer)


def _write(calls: ReconciliationCalls, days: DayRange, answer: IO[bytes]) -> None:
    last: Area | None = None

    def take(area: Area, body: bytes) -> None:
        nonlocal last
        if area == last:
            answer.write(b",")
        else:
            answer.write((b"]}," if last else b"[") + b'{"first":' + msgspec.json.encode(area) + b',"second":[')
        answer.write(msgspec.json.encode(body.decode()))
        last = area

    calls.preview(days, take)
    answer.write(b"]}]" if last else b"[]")


def _pieces(answer: IO[bytes]) -> Iterator[bytes]:
    with answer:
        answer.seek(0)
        while piece := answer.read(_PIECE):
            yield piece


def _in_words(status: int, text: str) -> Response[bytes]:
    return Response(text.encode(), status_code=status, media_type=MediaType.TEXT)


def _scheme(name: str, calls: ReconciliationCalls) -> Scheme:
    """Raises BadRequest for what names no scheme whose orders are reported for its callers."""
    if name not in {*calls.schemes}:
        raise BadRequest(("fagsystem", f"must be one of {', '.join(sorted(calls.schemes))}"))
    return Scheme(name)


_BACKWARDS: Final = "must not be before fom"


def _backwards(days: DayRange) -> str | None:
    return _BACKWARDS if days.first > days.last else None


def _days_of(body: DayRangeBody) -> DayRange:
    """The days of a range. Raises BadRequest where it has a part of a day: the rest of that could never be reported."""
    first, fom_rule = _day_of(body.fom, _MIDNIGHT, "must be a midnight: days are reported whole")
    last, tom_rule = _day_of(body.tom, _LAST_SECOND, "must be in the last second of a day: days are reported whole")
    refuse_flawed(("fom", fom_rule), ("tom", tom_rule))
    return DayRange(first, last)


def _day_of(text: str, at: time, rule: str) -> tuple[date, str | None]:
    """The day of a local moment, and the rule that it breaks."""
    found = _LOCAL.fullmatch(text)
    try:
        day, second = date.fromisoformat(found[1] if found else ""), time.fromisoformat(found[2] if found else "")
    except ValueError:
        return FIRST_DAY, "is no date and time of the calendar"
    fraction = text.partition(".")[2].strip("0")
    if second != at or (at == _MIDNIGHT and fraction):
        return day, rule
    return day, f"must not be before {FIRST_DAY}" if day < FIRST_DAY else None


def _wrong_day(day: date, today: date) -> str | None:
    if day < FIRST_DAY:
        return f"must not be before {FIRST_DAY}"
    return f"must not be later than {today}" if day > today else None


def _not_over(last: date, today: date) -> str | None:
    return f"must be before {today}: only days that are over are reported" if last >= today else None
