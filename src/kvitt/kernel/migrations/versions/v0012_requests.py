"""Requests that may be repeated. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
