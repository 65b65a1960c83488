"""The lines in force on a day, by the rail's own rule, as the accepted orders of each case give them (design §12, active line).

A line is active when the rail has accepted it and at least one of its days, on the day or behind it, is still in force after all that was
accepted later in its chain. It is reported as it was sent, with its whole period.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.catalogue import AREAS, SCHEMES
from kvitt.disbursement.reconciliation import ActiveCase, ActiveLine
from kvitt.disbursement.values import Area, RateType
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import Part, fetch, fetch_values
from kvitt.kernel.queries import load

_SQL: Final = load("consistency", "kvitt.disbursement")
LINE: Final = Part(ActiveLine, rate_type=RateType)
"""How a line is made of its columns."""
_case_no = attrgetter("case_no")


class ActiveBasis(Struct, frozen=True):
    """Which lines are meant: those of an area in force on `day` or behind it, by the orders that were accepted no later than `at`.

    Of these, orders that were open when the run of that number began do not count.
    """

    rail: str
    area: Area
    day: date
    at: datetime
    run_no: int | None = None


class _ActiveLineOfCase(NamedTuple):
    case_no: int
    case_id: str
    person: str
    office: str | None
    line: ActiveLine


def cases_after(connection: Connection, area: Area, after: int, limit: int) -> Sequence[int]:
    """The numbers of the next cases that the rail knows in an area."""
    row = {"scheme": AREAS[area].scheme.value, "area": area, "after": after, "limit": limit}
    return fetch_values(connection, _SQL.cases_after, row)


def active_cases(connection: Connection, basis: ActiveBasis, cases: Sequence[int]) -> Sequence[ActiveCase]:
    """Those of the cases that have lines in force, in the order of their numbers. Memory: all lines of these cases."""
    row = {"cases": list(cases), "rail": basis.rail, "area": basis.area, "day": basis.day, "at": basis.at, "run_no": basis.run_no}
    rows = fetch(connection, _ActiveLineOfCase, _SQL.active_lines, row, line=LINE)
    return [_case(basis.area, lines) for _, lines in groupby(rows, _case_no)]


def all_active_cases(connection: Connection, basis: ActiveBasis, *, at_once: int) -> Iterator[ActiveCase]:
    """All cases of an area that have lines in force, so many cases at once."""
    after = 0
    while cases := cases_after(connection, basis.area, after, at_once):
        yield from active_cases(connection, basis, cases)
        after = cases[-1]


def _case(area: Area, lines: Iterable[_ActiveLineOfCase]) -> ActiveCase:
    """A case says of itself what the newest order did that has a line in force."""
    found = [*lines]
    newest = found[-1]
    frequency = SCHEMES[AREAS[area].scheme].frequency
    return ActiveCase(newest.case_id, newest.person, frequency, newest.line.caseworker, newest.office, tuple([each.line for each in found]))
