"""Decisions of the first form are found without their case. The statement is in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0056"
down_revision = "0055"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
