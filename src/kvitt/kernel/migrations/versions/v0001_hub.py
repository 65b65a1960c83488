"""The hub's facts, from cases to the embedded log. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
