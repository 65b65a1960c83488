"""Marks by which it is found out whether a transaction was committed. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
