"""Notes on cases, and views by which it is found out what became of an order. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0074"
down_revision = "0073"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
