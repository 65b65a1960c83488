"""Cases get an owner and a frame, and calls are noted; the cases that are there get their owner behind the SQL file beside."""

from kvitt.kernel.backfill import Backfill, by_statement
from kvitt.kernel.migrations import apply
from kvitt.kernel.queries import load

revision = "0051"
down_revision = "0050"

_SQL = load("owners", "kvitt.kernel.migrations")


def upgrade() -> None:
    """Applies the SQL file beside, and notes what is to be filled in."""
    apply(__file__, BACKFILLS)


BACKFILLS = (Backfill("owners of cases", by_statement(_SQL.own_cases)),)
