"""Pages of the console are live, and processes say how they do. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0069"
down_revision = "0068"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
