"""The console: who is logged in, who looked at whom, and the views that its pages read. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0065"
down_revision = "0064"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
