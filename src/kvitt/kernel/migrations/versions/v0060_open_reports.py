"""Orders of reported days that are still to be reported. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0060"
down_revision = "0059"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
