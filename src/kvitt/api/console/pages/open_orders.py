"""Open orders added up for pages: by their age on the clock and in hours in which their rail is open, what leaves next, and what a stop
holds up.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from kvitt.api.console.frame import Visit
from kvitt.disbursement.operate import EVERYWHERE
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("sending", "kvitt.api.console.pages")
_LIMITS: Final = (timedelta(days=1), timedelta(hours=4), timedelta(hours=1))
AGES: Final = ("> 24 h", "4–24 h", "1–4 h", "< 1 h")
"""Names of the ages that `_LIMITS` part, oldest first."""
_SAME = TypeVar("_SAME", bound=Hashable)


class OpenSum(NamedTuple):
    """Open orders that have all of this in common; ages are places in `AGES`, `oldest` is since when one has waited.

    Nothing holds those that are `is_free`, neither a person nor a check that is still to come.
    """

    rail: str
    area: str
    state: str
    is_free: bool
    clock_age: int
    open_age: int
    orders: int
    sum_kroner: Kroner
    oldest: datetime


class StoppedRail(NamedTuple):
    """Where sending is stopped, by whom and why."""

    rail: str
    area: str
    reason: str
    stopped_by: str
    stopped_at: datetime


class OrdersThere(Struct, frozen=True):
    """Orders added up; `by_clock` and `by_open` are their numbers by the ages of `AGES`."""

    rail: str
    area: str
    state: str
    orders: int
    sum_kroner: Kroner
    oldest: datetime | None
    by_clock: Sequence[int]
    by_open: Sequence[int]


def stops(connection: Connection) -> list[StoppedRail]:
    """All stops that stand."""
    return fetch(connection, StoppedRail, _SQL.stops)


def open_sums(visit: Visit, most: int) -> Sequence[OpenSum]:
    """All open orders, of each state and rail at most so many, with their ages by now."""
    schedules, now = visit.operations.schedules, visit.now
    asked: dict[str, object] = {"limit": most, "clock": [now - each for each in _LIMITS], "rails": list(schedules)}
    for name, limit in zip(("day", "four_hours", "hour"), _LIMITS, strict=True):
        asked[name] = [schedule.open_time_ago(now, limit) for schedule in schedules.values()]
    return fetch(visit.connection, OpenSum, _SQL.open_sums, asked)


def by_place(sums: Sequence[OpenSum]) -> Sequence[OrdersThere]:
    """Added up for each rail and area."""
    return _added(sums, lambda each: (each.rail, each.area, ""))


def by_state(sums: Sequence[OpenSum]) -> Sequence[OrdersThere]:
    """Added up for each rail, area and state; those that something holds have a state of their own."""
    return _added(sums, lambda each: (each.rail, each.area, each.state if each.is_free or each.state != "ready" else "kept"))


def leaving(sums: Sequence[OpenSum], stopped: Sequence[StoppedRail]) -> Sequence[OrdersThere]:
    """Orders that leave as soon as their rail is open: they are held by nothing, and sending is not stopped there."""
    return by_place([each for each in sums if _is_free(each) and not any(_holds_up(stop, each) for stop in stopped)])


def behind(stop: StoppedRail, sums: Sequence[OpenSum]) -> OrdersThere:
    """Orders that would leave if it were not for this stop."""
    there = [each for each in sums if _is_free(each) and _holds_up(stop, each)]
    return _sum((stop.rail, stop.area, "ready"), there)


def by_open_age(sums: Sequence[OpenSum]) -> Sequence[int]:
    """The number of orders of each of `AGES`, in hours in which the rail is open."""
    return _ages(sums, lambda each: each.open_age)


def counted_out(sums: Sequence[OpenSum], most: int) -> frozenset[str]:
    """The states of which there may be more than were counted."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for each in sums:
        found[each.rail, each.state] += each.orders
    return frozenset(state for (_, state), orders in found.items() if orders >= most)


def _is_free(each: OpenSum) -> bool:
    return each.state == "ready" and each.is_free


def _holds_up(stop: StoppedRail, each: OpenSum) -> bool:
    return stop.rail in (EVERYWHERE, each.rail) and stop.area in (EVERYWHERE, each.area)


def _added(sums: Sequence[OpenSum], of: Callable[[OpenSum], tuple[str, str, str]]) -> Sequence[OrdersThere]:
    return [_sum(place, there) for place, there in sorted(_grouped(sums, of).items())]


def _grouped(sums: Iterable[OpenSum], of: Callable[[OpenSum], _SAME]) -> Mapping[_SAME, Sequence[OpenSum]]:
    found: dict[_SAME, list[OpenSum]] = defaultdict(list)
    for each in sums:
        found[of(each)].append(each)
    return found


def _sum(place: tuple[str, str, str], there: Sequence[OpenSum]) -> OrdersThere:
    return OrdersThere(
        *place,
        orders=sum(each.orders for each in there),
        sum_kroner=Kroner(sum(each.sum_kroner for each in there)),
        oldest=min((each.oldest for each in there), default=None),
        by_clock=_ages(there, lambda each: each.clock_age),
        by_open=_ages(there, lambda each: each.open_age),
    )


def _ages(there: Sequence[OpenSum], of: Callable[[OpenSum], int]) -> Sequence[int]:
    return [sum(each.orders for each in there if of(each) == age) for age in range(len(AGES))]
