"""Shows what of one case needs a person by the orders of that case. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0090"
down_revision = "0089"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
