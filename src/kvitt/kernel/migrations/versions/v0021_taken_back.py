"""Orders that are taken back so that their messages are derived again. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
