"""Jobs that wait for their time are scheduled. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0068"
down_revision = "0067"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
