"""Adds what came in for a case that somebody else had locked. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
