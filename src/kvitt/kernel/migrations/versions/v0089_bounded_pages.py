"""Has pages look through no more than they show. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0089"
down_revision = "0088"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
