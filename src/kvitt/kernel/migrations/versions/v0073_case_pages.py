"""Views that the pages of a case read. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0073"
down_revision = "0072"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
