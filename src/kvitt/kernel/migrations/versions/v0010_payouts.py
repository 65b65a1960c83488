"""Payouts. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
