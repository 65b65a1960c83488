"""Observations on the way are noted, and what came back waits for a person. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
