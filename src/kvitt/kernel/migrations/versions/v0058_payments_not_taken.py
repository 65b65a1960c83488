"""Versions of payments that the rail did not take are found by their ids. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0058"
down_revision = "0057"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
