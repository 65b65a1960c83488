"""Decisions that were taken over from an older system. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0062"
down_revision = "0061"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
