"""The store gets a public face: views. The statement is in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
