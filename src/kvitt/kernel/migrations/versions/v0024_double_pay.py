"""Adds what the rail may have besides, and by which rules orders were held. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
