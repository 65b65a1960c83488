"""A view of open orders that adds up quickly, and a cheaper one of what is stuck. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0076"
down_revision = "0075"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
