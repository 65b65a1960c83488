"""Reconciliation: runs, what each reports, and the messages that leave. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
