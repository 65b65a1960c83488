"""Moments that grow along whatever is locked. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
