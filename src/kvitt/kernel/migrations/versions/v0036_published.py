"""Names what is published of messages and orders so in columns. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
