"""Days under whose keys orders have left before. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
