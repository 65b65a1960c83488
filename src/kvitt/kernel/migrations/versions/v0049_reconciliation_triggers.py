"""Records that ask for reconciliation. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
