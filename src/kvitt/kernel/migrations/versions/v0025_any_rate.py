"""By which rules orders are held from now on. The statement is in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
