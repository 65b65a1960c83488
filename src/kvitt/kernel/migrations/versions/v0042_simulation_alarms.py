"""Alarms about rails that answer no simulation, and simulations as others may read them. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
