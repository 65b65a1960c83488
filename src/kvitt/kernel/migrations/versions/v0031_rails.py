"""Orders come to name their rail. The statement is in the SQL file beside; what the rail keeps of older ones is filled in behind it."""

from kvitt.kernel.backfill import Backfill, by_statement
from kvitt.kernel.migrations import apply
from kvitt.kernel.queries import load

revision = "0031"
down_revision = "0030"

BACKFILLS = (Backfill("documents of orders", by_statement(load("rails", "kvitt.kernel.migrations").document_orders)),)


def upgrade() -> None:
    """Applies the SQL file beside, and notes what is to be filled in."""
    apply(__file__, BACKFILLS)
