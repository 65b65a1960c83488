"""Adds what is done at set times. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
