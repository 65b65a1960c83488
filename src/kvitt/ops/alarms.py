"""Alarms about what the rail owes an answer within its opening hours, orders without a receipt and simulations, and about what we owe the
rail: reconciliation (design §8, §14, §15).

The scheduler looks: the store lets one alarm stand per order, per rail and per area, so whoever raises it alone reports it. An alarm is a
row, a line in the log at level error, and part of a metric; it is over when the order is settled, the rail answers a simulation, or nothing
is left to report.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from msgspec import Struct

from kvitt.disbursement.rail import Schedule
from kvitt.disbursement.simulation import FailureReason
from kvitt.disbursement.values import Area
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.queries import load

_SQL = load("ops", "kvitt.ops")
_log = structlog.get_logger(__name__)
_AT_ONCE = 10_000
"""Raised in one statement, which reads all open orders; more are raised in the same look."""
_STATEMENT_MS = 30_000
_LOOK_BACK: Final = timedelta(days=1)
_UNANSWERED: Final = (
    FailureReason.CLOSED,
    FailureReason.PROXY_CLOSED,
    FailureReason.UNREACHABLE,
    FailureReason.TIMED_OUT,
    FailureReason.NO_ANSWER,
    FailureReason.BROKEN_OFF,
    FailureReason.NO_TOKEN,
)
"""Ends of which the rail itself knows nothing."""
_LOGGED_ALONE = 100
"""When the rail is down all of its orders are late: beyond so many, a look logs their number. The store has them all."""


class ReceiptDeadline(Struct, frozen=True):
    """How much of the time in which its rail is open an order may wait for its receipt; rails by their names."""

    schedules: Mapping[str, Schedule]
    waits: timedelta


class SimulationDeadline(Struct, frozen=True):
    """How much of the time in which a rail is open it may answer no simulation, though it is asked; rails by their names."""

    schedules: Mapping[str, Schedule]
    waits: timedelta


class ReconciliationDeadline(Struct, frozen=True):
    """How long a run of an area may be due and not made, or made and not put: `areas` with the names of the jobs that make their runs."""

    areas: Mapping[Area, str]
    waits: timedelta


class Alarm(Struct, frozen=True):
    """An alarm that was just raised or cleared; `sent_at` is since when the receipt was waited for."""

    order_id: str
    area: str
    sent_at: datetime


class RailAlarm(Struct, frozen=True):
    """An alarm about a rail that was just raised or cleared; since when it has answered no simulation."""

    rail: str
    since: datetime


class AreaAlarm(Struct, frozen=True):
    """An alarm about runs of reconciliation of an area, of one kind, that was just raised or cleared; since when one is late."""

    area: str
    kind: str
    since: datetime


class ListedAlarm(Struct, frozen=True):
    """An alarm as operators see it, with the state that its order has now.

    `kind` is `no receipt`, or `contradiction`: the rail says otherwise than what stands of the order; or `over limit`: it is
    held, for its source is over its limit; or `receipt of no order`; or
    `no simulation`, which is about a rail, or `no reconciliation`, which is about an area. Each kind has numbers of its own.
    """

    alarm_no: int
    kind: str
    rail: str | None
    order_id: str | None
    scheme: str | None
    case_id: str | None
    area: str | None
    state: str | None
    sent_at: datetime | None
    raised_at: datetime
    cleared_at: datetime | None


def raise_and_clear(connection: Connection, now: datetime, deadline: ReceiptDeadline) -> tuple[list[Alarm], list[Alarm]]:
    """Clears the alarms of settled orders and, for each rail that is open, raises those that are due; returns (raised, cleared).

    What is returned is committed, and returned to one caller only.
    """
    cleared = _longest_first(fetch(connection, Alarm, _SQL.clear_alarms, {"now": now}))
    raised: list[Alarm] = []
    for rail, schedule in deadline.schedules.items():
        if schedule.is_open(now):
            arguments = {"rail": rail, "now": now, "before": schedule.open_time_ago(now, deadline.waits), "limit": _AT_ONCE}
            while found := _longest_first(fetch(connection, Alarm, _SQL.raise_alarms, arguments)):
                raised += found
    return raised, cleared


def watch_cancellations(connection: Connection, now: datetime, deadline: ReceiptDeadline) -> list[Alarm]:
    """Marks the requests to cancel that an open rail has not answered for so long: they need a person. Returns each once."""
    late: list[Alarm] = []
    for rail, schedule in deadline.schedules.items():
        if schedule.is_open(now):
            arguments = {"rail": rail, "before": schedule.open_time_ago(now, deadline.waits)}
            late += fetch(connection, Alarm, _SQL.mark_late_cancellations, arguments)
    return _longest_first(late)


class _SilentSpan(NamedTuple):
    answered_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    waits_since: datetime | None


def watch_simulations(connection: Connection, now: datetime, deadline: SimulationDeadline) -> tuple[list[RailAlarm], list[RailAlarm]]:
    """Raises an alarm about each open rail that has answered no simulation for so long, and clears it when it does; (raised, cleared).

    A simulation that waits so long, because nobody asks the rail, is the same to whoever wants it.
    """
    raised: list[RailAlarm] = []
    cleared: list[RailAlarm] = []
    for rail, schedule in deadline.schedules.items():
        arguments = {"rail": rail, "now": now, "after": now - _LOOK_BACK, "reasons": [reason.value for reason in _UNANSWERED]}
        found = fetch_one(connection, _SilentSpan, _SQL.unanswered_simulations, arguments)
        assert found is not None, "it is one row"
        due = schedule.open_time_ago(now, deadline.waits)
        if found.waits_since and schedule.is_open(now) and found.waits_since <= due:
            raised += fetch(connection, RailAlarm, _SQL.raise_rail_alarm, {**arguments, "since": found.waits_since})
            continue
        if found.first_at is None or found.last_at is None:
            if found.answered_at:
                cleared += fetch(connection, RailAlarm, _SQL.clear_rail_alarm, {**arguments, "answered_at": found.answered_at})
            continue
        # Whoever heard at night that it is closed says nothing about the morning: somebody must have asked since.
        if schedule.is_open(now) and schedule.is_open(found.last_at) and found.first_at <= due:
            raised += fetch(connection, RailAlarm, _SQL.raise_rail_alarm, {**arguments, "since": found.first_at})
    return raised, cleared


def watch_reconciliation(
    connection: Connection, now: datetime, deadline: ReconciliationDeadline
) -> tuple[list[AreaAlarm], list[AreaAlarm]]:
    """Raises an alarm about each area of which a run is late, and clears it when none is due or on its way; (raised, cleared)."""
    areas = {"areas": [*deadline.areas], "jobs": [*deadline.areas.values()], "now": now}
    cleared = fetch(connection, AreaAlarm, _SQL.clear_reconciliation_alarms, areas)
    return fetch(connection, AreaAlarm, _SQL.raise_reconciliation_alarms, {**areas, "before": now - deadline.waits}), cleared


def _longest_first(alarms: Sequence[Alarm]) -> list[Alarm]:
    return sorted(alarms, key=lambda alarm: (alarm.sent_at, alarm.order_id))


def list_alarms(connection: psycopg.Connection[Any], *, cleared: bool, limit: int) -> list[ListedAlarm]:
    """Standing alarms, and, if asked for, those that are over; newest first."""
    return fetch(connection, ListedAlarm, _SQL.list_alarms, {"cleared": cleared, "limit": limit})


def alarm_job(
    clock: Clock, deadline: ReceiptDeadline, simulations: SimulationDeadline, reconciliation: ReconciliationDeadline, every: timedelta
) -> Job:
    """Looks now and then for orders without a receipt, requests to cancel without an answer, rails without simulations, and areas without
    reconciliation; reports each once.
    """

    def run(connection: Connection, _due: datetime) -> str:
        now = clock()
        connection.execute(f"SET LOCAL statement_timeout = {_STATEMENT_MS:d}")
        raised, cleared = raise_and_clear(connection, now, deadline)
        _log_each("order has no receipt", _log.error, raised, now)
        _log_each("order without receipt is settled", _log.info, cleared, now)
        unanswered = watch_cancellations(connection, now, deadline)
        _log_each("a request to cancel an order has no answer", _log.error, unanswered, now)
        silent, speaking = watch_simulations(connection, now, simulations)
        _log_rails("the rail answers no simulation in its opening hours", _log.error, silent)
        _log_rails("the rail answers simulations again", _log.info, speaking)
        late, done = watch_reconciliation(connection, now, reconciliation)
        _log_areas("an area is not reconciled in time", _log.error, late)
        _log_areas("an area is reconciled again", _log.info, done)
        return (
            f"{len(raised) + len(unanswered) + len(silent) + len(late)} alarms raised, {len(cleared) + len(speaking) + len(done)} cleared"
        )

    return Job("alarms", Every(every), run)


def _log_rails(event: str, log: Any, alarms: Sequence[RailAlarm]) -> None:
    for each in alarms:
        log(event, rail=each.rail, since=each.since.isoformat())


def _log_areas(event: str, log: Any, alarms: Sequence[AreaAlarm]) -> None:
    for each in alarms:
        log(event, area=each.area, kind=each.kind, since=each.since.isoformat())


def _log_each(event: str, log: Any, alarms: Sequence[Alarm], now: datetime) -> None:
    for alarm in alarms[:_LOGGED_ALONE]:
        waited = int((now - alarm.sent_at).total_seconds())
        log(event, order_id=alarm.order_id, area=alarm.area, sent_at=alarm.sent_at.isoformat(), waited_seconds=waited)
    if len(alarms) > _LOGGED_ALONE:
        log(f"{event}: and more", orders=len(alarms) - _LOGGED_ALONE, areas=sorted({alarm.area for alarm in alarms[_LOGGED_ALONE:]}))
