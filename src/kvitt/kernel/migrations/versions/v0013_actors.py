"""Who asked for an act. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
