"""Counts messages by scheme and hour, so that nobody who looks at rates has to: a job, some minutes behind, that costs intake nothing."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.queries import load

_SQL: Final = load("ops", "kvitt.ops")
_EVERY: Final = timedelta(minutes=1)
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
