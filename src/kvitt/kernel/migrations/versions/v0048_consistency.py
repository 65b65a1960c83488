"""Runs of consistency reconciliation: made in parts, with totals of their own. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
