"""Cases know whom they were opened for, filled in behind by their newest orders."""

from kvitt.kernel.backfill import Backfill, by_statement
from kvitt.kernel.migrations import apply
from kvitt.kernel.queries import load

revision = "0064"
down_revision = "0063"

_SQL = load("opened_for", "kvitt.kernel.migrations")


def upgrade() -> None:
    """Applies the SQL file beside, and notes what is to be filled in."""
    apply(__file__, BACKFILLS)


BACKFILLS = (Backfill("whom cases were opened for", by_statement(_SQL.fill_in_opened_for)),)
