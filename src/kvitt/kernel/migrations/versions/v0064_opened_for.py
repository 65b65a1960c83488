"""Cases know whom they were opened for. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0064"
down_revision = "0063"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
