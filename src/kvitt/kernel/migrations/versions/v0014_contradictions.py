"""Why orders are held, and receipts that contradict what stands. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
