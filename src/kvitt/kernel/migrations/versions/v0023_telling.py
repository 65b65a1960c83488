"""How orders and their payments are told. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
