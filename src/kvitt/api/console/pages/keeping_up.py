"""Do we keep up: how far the hub was behind in the last hours, the worst of each ten minutes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.api.console import showing
from kvitt.api.console.charts import StepChart, step_chart
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("overview", "kvitt.api.console.pages")
HOURS: Final = 6
_MINUTE: Final = 60


class BehindInSpan(NamedTuple):
    """The worst of ten minutes; `not_taken_in` None: the brokers could not be asked."""

    at: datetime
    not_taken_in: int | None
    unpublished_seconds: int
    unanswered_seconds: int


class KeepingUp(Struct, frozen=True):
    """The last that was noted of the last hours, and each figure over them; None: nothing was."""

    last: BehindInSpan | None
    not_taken_in: StepChart | None
    unpublished: StepChart | None
    unanswered: StepChart | None


def keeping_up(connection: Connection, now: datetime) -> KeepingUp:
    """How far the hub was behind in the last hours."""
    spans: Sequence[BehindInSpan] = fetch(connection, BehindInSpan, _SQL.keeping_up, {"since": now - timedelta(hours=HOURS)})
    return KeepingUp(
        spans[-1] if spans else None,
        step_chart([(each.at, each.not_taken_in) for each in spans if each.not_taken_in is not None]),
        step_chart([(each.at, each.unpublished_seconds) for each in spans], _seconds),
        step_chart([(each.at, each.unanswered_seconds // _MINUTE) for each in spans], _minutes),
    )


def _seconds(number: int) -> str:
    return f"{showing.grouped(number)} s"


def _minutes(number: int) -> str:
    return f"{showing.grouped(number)} min"
