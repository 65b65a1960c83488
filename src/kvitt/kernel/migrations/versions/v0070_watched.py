"""Who owned which lease since when, and how checks ended. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0070"
down_revision = "0069"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
