"""The ledger. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
