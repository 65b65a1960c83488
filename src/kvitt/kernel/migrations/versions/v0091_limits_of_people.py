"""Limits of sources that two people set, before those of the settings. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0091"
down_revision = "0090"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
