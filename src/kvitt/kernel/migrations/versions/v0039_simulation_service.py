"""The rail emulator keeps what it has paid, and its simulation service how it behaves. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
