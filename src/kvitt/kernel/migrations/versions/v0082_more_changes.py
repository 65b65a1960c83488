"""Pages that came later are live as well. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0082"
down_revision = "0081"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
