"""Finds by its age what the console need not keep, and keeps looks for a year at least. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0071"
down_revision = "0070"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
