"""Payments of which an import has learnt nothing. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
