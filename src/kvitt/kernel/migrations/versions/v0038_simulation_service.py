"""What the rail emulator has paid, and what its simulation service keeps. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0038"
down_revision = "0036"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
