"""Each order says what it counts on the limit of its source. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0084"
down_revision = "0083"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
