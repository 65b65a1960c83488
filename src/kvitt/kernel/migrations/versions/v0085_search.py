"""Indexes by which the console finds ids by their beginning, and messages by their keys. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0085"
down_revision = "0084"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
