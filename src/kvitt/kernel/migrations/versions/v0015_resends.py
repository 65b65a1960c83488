"""Resends that reach the rail. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
