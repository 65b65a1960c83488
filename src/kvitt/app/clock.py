"""The one clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The clock that is handed to everything that needs one."""
    return datetime.now(UTC)
