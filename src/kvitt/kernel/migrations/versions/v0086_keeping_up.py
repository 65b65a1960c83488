"""Figures of each minute say whether the hub keeps up. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0086"
down_revision = "0085"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
