"""Views that more pages of the console read. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0066"
down_revision = "0065"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
