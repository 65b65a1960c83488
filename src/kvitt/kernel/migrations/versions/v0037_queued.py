"""Messages of a busy case are queued, and columns and tables are named for what they hold. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
