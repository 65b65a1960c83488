"""Acts that are asked for and confirmed. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
