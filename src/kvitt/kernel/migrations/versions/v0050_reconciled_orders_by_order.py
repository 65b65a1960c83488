"""Rows of what runs report, found by order first. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
