"""Clears away what the console need not keep: logins that nobody came back from, figures and owners of last month, looks of years ago."""

from datetime import datetime, timedelta
from typing import Final

from kvitt.api.console.sessions import LOGIN_LASTS
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load

_SQL, _SESSIONS = load("clearing", "kvitt.api.console"), load("sessions", "kvitt.api.console")
_USED: Final = timedelta(days=2)
"""Longer than any session lasts: what only a session needs is not needed after it."""
_WATCHED: Final = timedelta(days=30)
"""So long it can be seen who owned what, and whether the hub kept up."""
MOST: Final = 10_000
"""So many rows of each kind are cleared away at once."""


def clear(connection: Connection, now: datetime, kept: timedelta) -> int:
    """Clears away, in the caller's transaction, and returns how many rows; sessions, looks and checks are there for `kept`."""
    terms = {
        "before": now - LOGIN_LASTS,
        "used_since": now - _USED,
        "watched_since": now - _WATCHED,
        "kept_since": now - kept,
        "limit": MOST,
    }
    return sum(connection.execute(each, terms).rowcount for each in (_SESSIONS.forget_logins, *_SQL))
