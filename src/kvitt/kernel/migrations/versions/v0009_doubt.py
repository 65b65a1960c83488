"""Doubt about orders. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
