"""What the migration to the trade's words makes of saga steps and accounts that were there before it."""

import shutil
from pathlib import Path

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.migrate import VERSIONS, upgrade

BEFORE = """
INSERT INTO ledger.accounts (currency, created_at, own, least, most, entries) VALUES ('RUB', now(), 7, -1, 9, 0);
INSERT INTO payouts.intents (payout_id, number, action, plan_id, content, state, made_at, closed_at, epoch, busy_until, next_try_at)
SELECT 'p-' || n, 1, 'create', 'payout_p-' || n, '{}', state, now(), CASE WHEN state IN ('done', 'undone') THEN now() END, n, now(), now()
FROM unnest(ARRAY['forward', 'back', 'done', 'undone']) WITH ORDINALITY AS s (state, n);
"""


def test_saga_steps_and_amounts_are_taken_over(empty_database: str, tmp_path: Path) -> None:
    for path in VERSIONS.glob("v*"):
        if path.suffix in (".py", ".sql") and path.name < "v0026":
            shutil.copy(path, tmp_path)
    upgrade(empty_database, versions=tmp_path)
    with connect(empty_database) as connection:
        connection.execute(BEFORE.encode())
    upgrade(empty_database)
    with connect(empty_database) as connection:
        steps = connection.execute("SELECT state, fencing_token, closed_at IS NULL FROM payouts.saga_steps ORDER BY payout_id").fetchall()
        assert steps == [("forward", 1, True), ("compensating", 2, True), ("done", 3, False), ("compensated", 4, False)]
        assert connection.execute("SELECT posted, available_min, available_max FROM ledger.accounts").fetchall() == [(7, -1, 9)]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE payouts.saga_steps SET state = 'done' WHERE payout_id = 'p-1'")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("UPDATE payouts.saga_steps SET payout_id = 'p-1', number = 2 WHERE payout_id = 'p-2'")
