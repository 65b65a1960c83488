"""Notes every minute how far the hub is behind, so that whoever looks later sees whether it kept up: a job, over open work only."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.queries import load

_SQL: Final = load("ops", "kvitt.ops")
_EVERY: Final = timedelta(minutes=1)
ReadBehind = Callable[[Connection], int | None]
"""How many records of the log are not taken in; None where that can not be found out."""


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
