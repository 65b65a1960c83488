"""Numbered migrations, run by Alembic: each revision applies the SQL file beside it."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

from kvitt.kernel.backfill import Backfill, plan


def apply(revision_file: str, backfills: Sequence[Backfill] = ()) -> None:
    """Runs the SQL file of the same name as the revision, as it stands, on the migration's connection; plans its back-fills."""
    path = Path(revision_file)
    text = path.with_suffix(".sql").read_text(encoding="utf-8")
    # The driver's own connection: a text without parameters may hold percent signs and many statements.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None, "a migration runs on a live connection"
    driver.execute(text)
    plan(driver, path.stem.removeprefix("v"), backfills)
