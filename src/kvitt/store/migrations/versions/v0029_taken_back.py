"""Orders that are taken back so that their messages are derived again. The statements are in the SQL file beside."""

from kvitt.store.migrations import apply

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
