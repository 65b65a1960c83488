"""Finds what needs a person most money first, no further than is shown. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0087"
down_revision = "0086"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
