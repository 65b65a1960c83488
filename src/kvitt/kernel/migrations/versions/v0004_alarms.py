"""Alarms about orders. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
