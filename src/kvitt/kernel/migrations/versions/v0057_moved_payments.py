"""Payments that were moved from one contract to another. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0057"
down_revision = "0056"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
