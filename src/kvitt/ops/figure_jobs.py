"""Notes figures as time goes, so that nobody who looks back later has to count: messages by scheme and hour, some minutes behind and at no
cost of intake; and every minute how far the hub is behind, over open work only.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one, fetch_value
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.queries import load

_SQL: Final = load("ops", "kvitt.ops")
_EVERY: Final = timedelta(minutes=1)
ReadBehind = Callable[[Connection], int | None]
"""How many records of the log are not taken in; None where that can not be found out."""
_AT_ONCE: Final = 200_000


class _CountedSpan(NamedTuple):
    counted_from: int
    counted_to: int


def rates_job() -> Job:
    """Counts what has come in, up to where no message is still on its way into the store."""

    def run(connection: Connection, _due: datetime) -> str:
        span = fetch_one(connection, _CountedSpan, _SQL.count_messages, {"limit": _AT_ONCE})
        assert span is not None, "how far it is counted is one row"
        return f"counted up to message {span.counted_to}, from {span.counted_from}"

    return Job("message rates", Every(_EVERY), run)


def records_behind(connection: Connection, topics: list[str]) -> int:
    """How many records of topics of the embedded log are not taken in."""
    return int(fetch_value(connection, _SQL.log_behind, {"topics": topics}) or 0)


def keeping_up_job(behind: ReadBehind) -> Job:
    """Notes how far intake, answers and publishing are behind."""

    def run(connection: Connection, _due: datetime) -> str:
        found = behind(connection)
        connection.execute(_SQL.note_keeping_up, {"not_taken_in": found})
        return f"{'an unknown number of' if found is None else found} records are not taken in"

    return Job("keeping up", Every(_EVERY), run)
