"""The reasons why orders are held are values. The statement is in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
