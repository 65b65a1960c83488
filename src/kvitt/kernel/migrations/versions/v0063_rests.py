"""Long runs of reconciliation rest only while others work. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0063"
down_revision = "0062"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
