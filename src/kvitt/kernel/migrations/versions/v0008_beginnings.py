"""Where reading begins, and on which topics. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
