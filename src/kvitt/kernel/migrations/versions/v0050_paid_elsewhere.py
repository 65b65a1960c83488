"""What other cases pay the same person holds orders: cases are found by the person that they were last ordered for, filled in behind."""

from kvitt.kernel.backfill import Backfill, by_statement
from kvitt.kernel.migrations import apply
from kvitt.kernel.queries import load

revision = "0050"
down_revision = "0049"

_SQL = load("ordered_for", "kvitt.kernel.migrations")


def upgrade() -> None:
    """Applies the SQL file beside, and notes what is to be filled in."""
    apply(__file__, BACKFILLS)


BACKFILLS = (Backfill("persons of cases", by_statement(_SQL.fill_in_persons)),)
