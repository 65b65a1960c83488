"""Editions of the rules of reading. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
