"""Orders are held for what other cases pay the same person: cases have the person of their newest order, filled in behind."""

from kvitt.kernel.backfill import Backfill, by_statement
from kvitt.kernel.migrations import apply
from kvitt.kernel.queries import load

revision = "0054"
down_revision = "0053"

_SQL = load("ordered_for", "kvitt.kernel.migrations")


def upgrade() -> None:
    """Applies the SQL file beside, and notes what is to be filled in."""
    apply(__file__, BACKFILLS)


BACKFILLS = (Backfill("persons of cases", by_statement(_SQL.fill_in_persons)),)
