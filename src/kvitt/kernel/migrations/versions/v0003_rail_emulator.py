"""The rail emulator"s own books. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
