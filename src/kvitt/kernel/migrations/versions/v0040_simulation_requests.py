"""Simulations are rows with states. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
