"""When somebody who is logged in had last proved who they are. The statement is in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0072"
down_revision = "0071"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
