"""Messages are counted by the hour. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0077"
down_revision = "0076"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
