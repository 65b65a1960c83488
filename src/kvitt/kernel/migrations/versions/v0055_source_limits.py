"""Limits on what a source may have paid in an hour. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
