"""Has pages that show no jobs hear of those alone that fail. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0088"
down_revision = "0087"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
