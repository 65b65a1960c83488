"""Keeps how far traces of messages are made. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0079"
down_revision = "0078"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
