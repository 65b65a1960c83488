"""It is said when more messages have come than are counted. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0083"
down_revision = "0082"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
