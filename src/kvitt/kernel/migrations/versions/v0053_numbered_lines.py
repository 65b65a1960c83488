"""Lines that are numbered through their case. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
