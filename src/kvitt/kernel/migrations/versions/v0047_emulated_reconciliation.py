"""Reconciliation as the rail emulator judges it, by its own records. The statements are in the SQL file beside."""

from kvitt.kernel.migrations import apply

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Applies the SQL file beside."""
    apply(__file__)
