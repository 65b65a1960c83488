"""A view of what was published, byte for byte. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0080"
down_revision = "0079"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
