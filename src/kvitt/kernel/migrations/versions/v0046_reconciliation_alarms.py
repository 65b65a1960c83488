"""Alarms about areas that are not reconciled in time. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
