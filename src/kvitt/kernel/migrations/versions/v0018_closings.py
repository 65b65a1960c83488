"""Dead letters and receipts that were dealt with are closed. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
