"""Finds what needs a person without a look at every order that waits for its rail. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0078"
down_revision = "0077"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
