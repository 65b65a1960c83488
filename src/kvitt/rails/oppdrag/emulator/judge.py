"""Judges a run of reconciliation that has ended: its messages by themselves, and what they say by the rail's own records (design §15)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from itertools import chain, groupby, islice
from typing import Final

import msgspec
from msgspec import Struct

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value, fetch_values, named
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.bank_days import oslo_day, oslo_moment
from kvitt.rails.oppdrag.emulator.order import LineEntry
from kvitt.rails.oppdrag.emulator.reported import BUCKETS, StatedLine, StatedTotal
from kvitt.rails.oppdrag.emulator.schedule import in_force
from kvitt.rails.oppdrag.emulator.store import entry_of

MOST_DETAILS: Final = 70
_AT_ONCE: Final = 2000
_SQL = load("reconciliation", package="kvitt.rails.oppdrag.emulator")


class RunDifferenceKind(Enum):
    """Kinds of differences between a run and the rail's own records; those of the messages themselves first."""

    UNREADABLE = "can not be read"
    NO_START = "no START first"
    START_TWICE = "START twice"
    NO_DATA = "no DATA"
    MESSAGE_TWICE = "message twice"
    AFTER_END = "message after the end"
    FIELDS = "fields differ between messages"
    TOO_MANY_DETAILS = "too many details"
    NO_TOTALS = "no totals"
    TOTALS_MISPLACED = "totals not in the first DATA"
    NOT_ADDED_UP = "groups do not add up to the total"
    KEYS = "keys are no range"
    SAME_RANGE = "range reported before"
    COMPONENT = "orders of another sender"
    COUNT = "count"
    SUM = "sum"
    SIGN = "sign"
    MISSING_THOUGH_ANSWERED = "missing though answered"
    NOT_ANSWERED = "no answer was sent"
    ANSWERED_OTHERWISE = "answered otherwise"
    DETAIL = "detail"
    NO_DETAIL = "no detail"
    DETAIL_TWICE = "detail twice"
    NOT_RECEIVED = "reported, not received"
    LINE_NOT_REPORTED = "line not reported"
    LINE_NOT_IN_FORCE = "line not in force"
    LINE = "line"
    LINE_TWICE = "line twice"


class RunDifference(Struct, frozen=True):
    """Where a run differs. `about` names what: a group, a field, a time, a line, a message; `expected` is by the rail's records."""

    run_id: str
    what: RunDifferenceKind
    case_id: str = ""
    about: str = ""
    expected: str = ""
    found: str = ""


class _RunRange(Struct, frozen=True):
    kind: str
    area: str
    component: str
    first_key: str
    last_key: str
    first_rank: str
    last_rank: str


class _MessageCounts(Struct, frozen=True):
    starts: int
    ends: int
    first_action: str
    last_action: str
    datas: int
    items: int


class _PlacedTotals(Struct, frozen=True):
    totals: str
    items: int
    place: int
    datas: int


class _CountedMessage(Struct, frozen=True):
    message_id: str
    items: int


class _UnevenField(Struct, frozen=True):
    about: str
    expected: str
    found: str


def add_differences(conn: TupleConnection, differences: Iterable[RunDifference]) -> None:
    """Records differences, in their order."""
    found = [*differences]
    if found:
        arrays = {
            "run_ids": [each.run_id for each in found],
            "kinds": [each.what.value for each in found],
            "case_ids": [each.case_id for each in found],
            "abouts": [each.about for each in found],
            "expecteds": [each.expected for each in found],
            "founds": [each.found for each in found],
        }
        conn.execute(_SQL.add_differences, arrays)


def judge_run(conn: TupleConnection, run_id: str, now: datetime) -> None:
    """Ends a run, and records where it differs from the rail's own records."""
    run = fetch_one(conn, _RunRange, _SQL.end_run, {"run_id": run_id, "now": now})
    assert run is not None, "it was opened by its first message"
    shape = fetch_one(conn, _MessageCounts, _SQL.shape, {"run_id": run_id})
    assert shape is not None, "the statement has one row"
    stated = fetch(conn, _PlacedTotals, _SQL.stated_totals, {"run_id": run_id})
    totals = msgspec.json.decode(stated[0].totals, type=dict[str, StatedTotal]) if stated else {}
    add_differences(conn, chain(_of_messages(conn, run_id, shape), _of_totals(run_id, run, stated, totals)))
    if run.kind == "GRSN":
        add_differences(conn, _of_range(conn, run_id, run))
        expected = fetch_value(conn, _SQL.judge_orders, {"run_id": run_id, **_total_arrays(totals)})
        if _is_of_numbers(run) and not expected:
            add_differences(conn, _of_same_range(conn, run_id))
    else:
        add_differences(conn, _of_line_totals(conn, run_id, shape, totals))
        differing = _of_lines(conn, run_id, run.area, oslo_moment(run.last_key) or now)
        while some := tuple(islice(differing, _AT_ONCE)):
            add_differences(conn, some)


def _of_messages(conn: TupleConnection, run_id: str, shape: _MessageCounts) -> Iterator[RunDifference]:
    what, row = RunDifferenceKind, {"run_id": run_id}
    if shape.first_action != "START":
        yield RunDifference(run_id, what.NO_START, expected="START", found=shape.first_action)
    if shape.starts > 1:
        yield RunDifference(run_id, what.START_TWICE, expected="1", found=str(shape.starts))
    if not shape.datas:
        yield RunDifference(run_id, what.NO_DATA)
    for message in fetch(conn, _CountedMessage, _SQL.messages_twice, row):
        yield RunDifference(run_id, what.MESSAGE_TWICE, about=message.message_id, expected="1", found=str(message.items))
    for message in fetch(conn, _CountedMessage, _SQL.long_messages, {**row, "most": MOST_DETAILS}):
        yield RunDifference(run_id, what.TOO_MANY_DETAILS, about=message.message_id, expected=str(MOST_DETAILS), found=str(message.items))
    for field in fetch(conn, _UnevenField, _SQL.uneven_fields, row):
        yield RunDifference(run_id, what.FIELDS, about=field.about, expected=field.expected, found=field.found)


def _of_totals(run_id: str, run: _RunRange, stated: Sequence[_PlacedTotals], totals: Mapping[str, StatedTotal]) -> Iterator[RunDifference]:
    """Totals stand in the first DATA, or in a last one of their own; those about lines always do the latter (iverksetting §5.5–§5.6)."""
    if not stated:
        yield RunDifference(run_id, RunDifferenceKind.NO_TOTALS)
        return
    found = stated[0]
    own_last = found.place == found.datas and not found.items
    if len(stated) > 1 or not (own_last or (run.kind == "GRSN" and found.place == 1)):
        yield RunDifference(run_id, RunDifferenceKind.TOTALS_MISPLACED, found=", ".join(f"DATA {each.place}" for each in stated))
    groups = [totals[name] for name in BUCKETS if name in totals]
    count, kroner = sum(each.count for each in groups), sum(each.kroner or 0 for each in groups)
    if groups and (count, kroner) != (totals["total"].count, totals["total"].kroner or 0):
        total = f"{totals['total'].count} orders, {totals['total'].kroner} kr"
        yield RunDifference(run_id, RunDifferenceKind.NOT_ADDED_UP, about="total", expected=f"{count} orders, {kroner} kr", found=total)


def _of_range(conn: TupleConnection, run_id: str, run: _RunRange) -> Iterator[RunDifference]:
    if run.first_rank[0] != run.last_rank[0] or run.first_rank > run.last_rank:
        yield RunDifference(run_id, RunDifferenceKind.KEYS, found=f"{run.first_key} to {run.last_key}")
    if not _is_of_numbers(run):
        yield from _of_same_range(conn, run_id)
    for component in fetch_values(conn, _SQL.other_components, {"run_id": run_id}):
        yield RunDifference(run_id, RunDifferenceKind.COMPONENT, expected=component, found=run.component)


def _is_of_numbers(run: _RunRange) -> bool:
    """Whether its keys are numbers: then orders are reported again when an answer has come late, which may give the very same keys."""
    return run.first_rank.startswith("n")


def _of_same_range(conn: TupleConnection, run_id: str) -> Iterator[RunDifference]:
    for earlier in fetch_values(conn, _SQL.same_range, {"run_id": run_id}):
        yield RunDifference(run_id, RunDifferenceKind.SAME_RANGE, found=earlier)


def _total_arrays(totals: Mapping[str, StatedTotal]) -> dict[str, list[object]]:
    return {
        "buckets": [*totals],
        "counts": [each.count for each in totals.values()],
        "sums": [each.kroner for each in totals.values()],
        "signs": [each.sign for each in totals.values()],
    }


def _of_line_totals(
    conn: TupleConnection, run_id: str, shape: _MessageCounts, totals: Mapping[str, StatedTotal]
) -> Iterator[RunDifference]:
    """The totals count the cases that were sent, and the sum of their lines' amounts (iverksetting §5.6)."""
    if not totals:
        return
    stated, kroner = totals["total"], int(fetch_value(conn, _SQL.sum_of_lines, {"run_id": run_id}))
    sign = "F" if kroner < 0 else "T"
    if stated.count != shape.items:
        yield RunDifference(run_id, RunDifferenceKind.COUNT, about="total", expected=str(shape.items), found=str(stated.count))
    if stated.kroner is None or abs(stated.kroner) != abs(kroner):
        yield RunDifference(run_id, RunDifferenceKind.SUM, about="total", expected=str(kroner), found=str(stated.kroner))
    elif stated.sign != sign:
        yield RunDifference(run_id, RunDifferenceKind.SIGN, about="total", expected=sign, found=stated.sign)


def _of_lines(conn: TupleConnection, run_id: str, area: str, at: datetime) -> Iterator[RunDifference]:
    """Compares what is in force by the rail's own arithmetic with what was reported; both are streamed, case by case."""
    day = oslo_day(at)
    with conn.cursor(name="entries_of_area") as entries, conn.cursor(name="reported_lines", row_factory=named(StatedLine)) as reported:
        entries.itersize = reported.itersize = _AT_ONCE
        entries.execute(_SQL.entries_of_area, {"area": area, "at": at})
        reported.execute(_SQL.reported_lines, {"run_id": run_id})
        own = groupby((entry_of(row) for row in entries), key=lambda entry: entry.case.case_id)
        their = groupby(reported, key=lambda line: line.case_id)
        yield from (each for case_id, mine, others in _merged(own, their) for each in _of_case(run_id, case_id, active(mine, day), others))


def _merged(
    own: Iterator[tuple[str, Iterator[LineEntry]]], their: Iterator[tuple[str, Iterator[StatedLine]]]
) -> Iterator[tuple[str, list[LineEntry], list[StatedLine]]]:
    """The cases of both, in their order; what one of them does not have is empty there."""
    mine, other = next(own, None), next(their, None)
    while mine or other:
        case_id = min(each[0] for each in (mine, other) if each)
        entries = [*mine[1]] if mine and mine[0] == case_id else []
        lines = [*other[1]] if other and other[0] == case_id else []
        yield case_id, entries, lines
        mine = next(own, None) if mine and mine[0] == case_id else mine
        other = next(their, None) if other and other[0] == case_id else other


def active(entries: Iterable[LineEntry], day: date) -> dict[str, LineEntry]:
    """The lines of a case of which at least one day, that day or a later one, is in force; by line id."""
    chains, _ = in_force(entries)
    return {line.line_id: line for valid in chains.values() for _, end, line in valid if end >= day}


def _of_case(run_id: str, case_id: str, own: Mapping[str, LineEntry], reported: Sequence[StatedLine]) -> Iterator[RunDifference]:
    what = RunDifferenceKind
    seen: set[str] = set()
    for line in reported:
        found = _said(line.starts, line.ends, line.kroner, line.rate_code)
        mine = own.get(line.line_id)
        expected = "none" if mine is None else _said(mine.starts, mine.ends, mine.amount, mine.rate_code)
        if line.line_id in seen:
            yield RunDifference(run_id, what.LINE_TWICE, case_id, line.line_id, expected, found)
        elif found != expected:
            yield RunDifference(run_id, what.LINE_NOT_IN_FORCE if mine is None else what.LINE, case_id, line.line_id, expected, found)
        seen.add(line.line_id)
    for line_id, mine in own.items():
        if line_id not in seen:
            said = _said(mine.starts, mine.ends, mine.amount, mine.rate_code)
            yield RunDifference(run_id, what.LINE_NOT_REPORTED, case_id, line_id, said, "none")


def _said(starts: date, ends: date, kroner: int, rate_code: str) -> str:
    return f"{starts} to {ends}, {kroner} {rate_code}"
