"""The local directory of parties. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
