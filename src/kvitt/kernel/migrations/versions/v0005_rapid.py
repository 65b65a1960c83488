"""Adds the rapid to the hub. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
