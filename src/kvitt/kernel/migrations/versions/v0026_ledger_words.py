"""The ledger's and the payouts' columns in the trade's words. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
