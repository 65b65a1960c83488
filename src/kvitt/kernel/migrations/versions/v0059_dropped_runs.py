"""Runs that are given up. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0059"
down_revision = "0058"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
