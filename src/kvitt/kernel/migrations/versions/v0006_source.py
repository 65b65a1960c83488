"""Which log the database belongs to. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
