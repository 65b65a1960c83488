"""The fencing tokens of leases. The statement is in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
