"""Reads what the database says about work that is not finished: with a handful of statements over indexes of open work only."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.kernel.clock import Clock
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.jobs import last_run
from kvitt.kernel.queries import load

_SQL, _DEFERRED = load("ops", "kvitt.ops"), load("deferred", "kvitt.disbursement")
_STATEMENT_MS = 10_000
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
AGES: Final = (("1m", _MINUTE), ("10m", 10 * _MINUTE), ("1h", _HOUR), ("6h", 6 * _HOUR), ("1d", _DAY))
"""Open orders are counted by age: those younger than each of these (seconds) and no younger than the one before, and the others."""
OLDER: Final = "older"


class OpenOrders(Struct, frozen=True):
    """Open orders of an area in one state and of one age; `blocked` ones among them wait for an operator."""

    area: str
    state: str
    age: str
    orders: int
    blocked: int


class Unanswered(Struct, frozen=True):
    """Messages of a scheme without a final answer, in one state."""

    scheme: str
    state: str
    messages: int
    oldest: datetime


class OpenSimulations(Struct, frozen=True):
    """Simulations of cases of a scheme that have not ended, in one state."""

    scheme: str
    state: str
    simulations: int
    oldest: datetime


class SilentRail(Struct, frozen=True):
    """A rail that answers no simulation in its opening hours (a standing alarm)."""

    rail: str
    since: datetime


class LateArea(Struct, frozen=True):
    """An area that is not reconciled in time (a standing alarm)."""

    area: str
    since: datetime


class Late(Struct, frozen=True):
    """Standing alarms about orders of an area without a receipt."""

    area: str
    orders: int
    oldest: datetime


class StoreCheck(Struct, frozen=True):
    """How the last check of the whole store ended."""

    differences: int
    ended_at: datetime


class TopicLag(Struct, frozen=True):
    """How many records of an input topic are not taken in yet."""

    topic: str
    records: int


class Deferred(Struct, frozen=True):
    """Holds what came in for cases that somebody else had locked, and is not handled yet; `oldest` is when the first of it came."""

    messages: int
    receipts: int
    oldest: datetime | None


ReadLag = Callable[[], Sequence[TopicLag]]
"""Asks the brokers how far we lag behind; raises what their client raises when they can't be asked."""


class Figures(Struct, frozen=True):
    """One look at the store, at `now`. `receipts` are those that wait for a person, by outcome.

    `lag` is that of the embedded log, empty where another log is used.
    """

    now: datetime
    orders: Sequence[OpenOrders]
    unanswered: Sequence[Unanswered]
    unpublished: int
    unpublished_since: datetime | None
    late: Sequence[Late]
    dead_letters: int
    contradictions: int
    contradicted_since: datetime | None
    over_limit: int
    """Orders that are held because their source is over its limit."""
    receipts: Mapping[str, int]
    stopped_areas: Sequence[tuple[str, str]]
    """Where nothing is sent: rail and area, `*` for all of either."""
    deferred: Deferred
    simulations: Sequence[OpenSimulations]
    silent_rails: Sequence[SilentRail]
    run_messages: Mapping[str, int]
    """Messages of reconciliation that have not left, by state."""
    oldest_run: datetime | None
    """When the oldest run of reconciliation was made that is not good."""
    late_areas: Sequence[LateArea]
    scheduler_ran_at: datetime | None
    """When a job was run last; None: none ever was."""
    last_check: StoreCheck | None
    """None: nobody has checked the store yet."""
    lag: Sequence[TopicLag]


def read_figures(connection: psycopg.Connection[Any], now: datetime, *, log_topics: Sequence[str] = ()) -> Figures:
    """Reads them all; `log_topics` are read from the embedded log.

    Raises psycopg errors, also when a statement takes too long.
    """
    ages = {"now": now, "ages": [seconds for _, seconds in AGES]}
    names = [*(name for name, _ in AGES), OLDER]
    unpublished, contradictions = _counted(connection, _SQL.outbox_waiting), _counted(connection, _SQL.open_contradictions)
    deferred = fetch_one(connection, Deferred, _DEFERRED.waiting_for_cases)
    assert deferred is not None, "a count is one row"
    return Figures(
        now=now,
        orders=fetch(connection, OpenOrders, _SQL.open_orders, ages, age=names.__getitem__),
        unanswered=fetch(connection, Unanswered, _SQL.unanswered_messages),
        unpublished=unpublished.number,
        unpublished_since=unpublished.oldest,
        late=fetch(connection, Late, _SQL.open_alarms),
        dead_letters=fetch_value(connection, _SQL.open_dead_letters),
        contradictions=contradictions.number,
        contradicted_since=contradictions.oldest,
        over_limit=_counted(connection, _SQL.over_limit).number,
        receipts={each.outcome: each.receipts for each in fetch(connection, _OpenReceipts, _SQL.open_receipts)},
        stopped_areas=[*fetch(connection, _StoppedArea, _SQL.stopped_areas)],
        deferred=deferred,
        simulations=fetch(connection, OpenSimulations, _SQL.open_simulations),
        silent_rails=fetch(connection, SilentRail, _SQL.open_rail_alarms),
        run_messages={each.state: each.messages for each in fetch(connection, _OpenRunMessages, _SQL.open_run_messages)},
        oldest_run=_counted(connection, _SQL.open_runs).oldest,
        late_areas=fetch(connection, LateArea, _SQL.open_reconciliation_alarms),
        scheduler_ran_at=last_run(connection),
        last_check=fetch_one(connection, StoreCheck, _SQL.last_check),
        lag=fetch(connection, TopicLag, _SQL.log_lag, {"topics": list(log_topics)}) if log_topics else [],
    )


class _NumberAndOldest(NamedTuple):
    number: int
    oldest: datetime | None


class _OpenReceipts(NamedTuple):
    outcome: str
    receipts: int


class _OpenRunMessages(NamedTuple):
    state: str
    messages: int


class _StoppedArea(NamedTuple):
    rail: str
    area: str


def _counted(connection: psycopg.Connection[Any], statement: str) -> _NumberAndOldest:
    found = fetch_one(connection, _NumberAndOldest, statement)
    assert found is not None, "a count is one row"
    return found


class FigureReader:
    """Reads the figures on a connection of its own, opened when first asked and anew after a failure. For one caller at a time."""

    def __init__(self, conninfo: str, clock: Clock, log_topics: Sequence[str]) -> None:
        self._conninfo, self._clock, self._log_topics = conninfo, clock, log_topics
        self._connection: psycopg.Connection[Any] | None = None

    def __call__(self) -> Figures:
        """The figures as they are now. Raises psycopg errors."""
        if self._connection is None:
            self._connection = connect(self._conninfo, application="kvitt metrics", statement_timeout_ms=_STATEMENT_MS)
        try:
            return read_figures(self._connection, self._clock(), log_topics=self._log_topics)
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()
