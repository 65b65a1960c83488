"""The embedded queue. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
