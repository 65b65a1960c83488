"""Orders are simulated before they leave, where their scheme wants it. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
