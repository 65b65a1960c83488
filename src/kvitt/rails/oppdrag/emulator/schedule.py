"""Computes what the rail will pay: the entries of a case read as the pieces of its chains that are in force.

The chain rule (helved §0.5, iverksetting §2.1): on each day one line of a chain is valid; a new line takes over the
chain from its first day on without end, and a cessation cuts the chain from its date.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from msgspec import Struct

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.order import LineEntry
from kvitt.rails.oppdrag.emulator.store import entry_of

ONE_DAY = timedelta(days=1)
FRIDAY = 5
_RATES = ("DAG", "DAG7", "MND")
"""Rates by which an amount falls due again and again; by any other it does once."""
_MOST_YEARS = 20
_MOST_DAYS = 250_000
_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")


class DaySpan(Struct, frozen=True):
    """A stretch of days (both ends included) on which one line of a chain is valid.

    `amount` is whole kroner per unit of `rate_code` (DAG, DAG7, MND, ENG …). Line ids are as on the wire: the chain's first line,
    the line that pays here, and the newest line of the chain, whether it still pays or not.
    """

    chain_first_line_id: str
    line_id: str
    chain_last_line_id: str
    start: date
    end: date
    amount: int
    rate_code: str
    class_code: str
    decided_rate: int | None


class Day(Struct, frozen=True):
    """Whole kroner due for a chain on a day; a monthly rate on its first day in each month, a single one on its first day."""

    chain: str
    date: date
    amount: int
    class_code: str


def spans(conn: TupleConnection, area: str, case_id: str) -> tuple[DaySpan, ...]:
    """The valid pieces of the case's chains, sorted by chain and first day; empty for an unknown case."""
    rows = conn.execute(_SQL.entries_of_case, {"area": area, "case_id": case_id}).fetchall()
    return pieces(entry_of(row) for row in rows)


def all_spans(conn: TupleConnection) -> Iterator[tuple[str, str, tuple[DaySpan, ...]]]:
    """As `spans` for every case, in the order of (area, case id) by code points, streamed; each item: area, case id, spans."""
    with conn.transaction(), conn.cursor(name="all_spans") as cursor:
        cursor.itersize = 5000
        cursor.execute(_SQL.entries)
        for case, entries in groupby((entry_of(row) for row in cursor), key=lambda entry: entry.case):
            yield case.area, case.case_id, pieces(entries)


def schedule(conn: TupleConnection, area: str, case_id: str) -> tuple[Day, ...]:
    """Returns what falls due day by day, sorted by chain and date; not beyond what `days_of` reads."""
    return days_of(spans(conn, area, case_id))[0]


def days_of(pieces: Sequence[DaySpan]) -> tuple[tuple[Day, ...], tuple[date, date] | None]:
    """Returns what is due day by day, in the order of the pieces; where they go on beyond what is read, after which day and until when.

    A line may be without end: at most `_MOST_YEARS` from the first day on are read, fewer where there are very many days in them.
    """
    if not pieces:
        return (), None
    last = _last_read(pieces)
    days = tuple(Day(span.chain_first_line_id, day, span.amount, span.class_code) for span in pieces for day in _due_dates(span, last))
    ends = max(span.end if span.rate_code in _RATES else span.start for span in pieces)
    return days, (last, ends) if ends > last else None


def _last_read(pieces: Sequence[DaySpan]) -> date:
    first = min(span.start for span in pieces)
    for years in range(_MOST_YEARS, 0, -1):
        last = date(first.year + years, 1, 1) - ONE_DAY if first.year + years <= date.max.year else date.max
        if sum(max((min(span.end, last) - span.start).days + 1, 0) for span in pieces) <= _MOST_DAYS:
            break
    return last


def pieces(entries: Iterable[LineEntry]) -> tuple[DaySpan, ...]:
    """Reads the entries of one case, in their order, as the pieces of its chains that are in force."""
    chains, last_lines = in_force(entries)
    found = [_span(start, end, line, last_lines[chain]) for chain, valid in chains.items() for start, end, line in valid]
    return tuple(sorted(found, key=lambda span: (span.chain_first_line_id, span.start)))


def in_force(entries: Iterable[LineEntry]) -> tuple[dict[str, list[tuple[date, date, LineEntry]]], dict[str, str]]:
    """The pieces of a case's chains (first day, last day, the line that pays), and the newest line of each; both by chain."""
    chains: dict[str, list[tuple[date, date, LineEntry]]] = {}
    last_lines: dict[str, str] = {}
    for entry in entries:
        valid = _cut(chains.get(entry.chain, []), entry.starts if entry.ceased_from is None else entry.ceased_from)
        if entry.ceased_from is None:
            valid.append((entry.starts, entry.ends, entry))
            last_lines[entry.chain] = entry.line_id
        chains[entry.chain] = valid
    return chains, last_lines


def _cut(valid: list[tuple[date, date, LineEntry]], day: date) -> list[tuple[date, date, LineEntry]]:
    """Returns what is left of the pieces before `day`."""
    return [(start, end if end < day else day - ONE_DAY, line) for start, end, line in valid if start < day]


def _span(start: date, end: date, line: LineEntry, last_line: str) -> DaySpan:
    return DaySpan(line.chain, line.line_id, last_line, start, end, line.amount, line.rate_code, line.class_code, line.decided_rate)


def _due_dates(span: DaySpan, last: date) -> Iterator[date]:
    if span.start > last:
        return
    if span.rate_code not in _RATES:
        yield span.start
        return
    for ordinal in range(span.start.toordinal(), min(span.end, last).toordinal() + 1):
        day = date.fromordinal(ordinal)
        is_due = {"DAG": day.isoweekday() <= FRIDAY, "DAG7": True, "MND": day == span.start or day.day == 1}
        if is_due[span.rate_code]:
            yield day
