"""What the migration to the trade's words makes of saga steps and accounts that were there before it."""

from pathlib import Path

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from support.older_database import make_older

BEFORE = """
INSERT INTO ledger.accounts (currency, created_at, own, least, most, entries) VALUES ('RUB', now(), 7, -1, 9, 0);
INSERT INTO payouts.intents (payout_id, number, action, plan_id, content, state, made_at, closed_at, epoch, busy_until, next_try_at)
SELECT 'p-' || n, 1, 'create', 'payout_p-' || n, '{}', state, now(), CASE WHEN state IN ('done', 'undone') THEN now() END, n, now(), now()
FROM unnest(ARRAY['forward', 'back', 'done', 'undone']) WITH ORDINALITY AS s (state, n);
"""


def test_saga_steps_and_amounts_are_taken_over(empty_database: str, tmp_path: Path) -> None:
    make_older(empty_database, before="ledger_words", folder=tmp_path)
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


WAITING = """
INSERT INTO cases (scheme, case_id, orders_made, open_orders, waiting) VALUES ('DAGPENGER', 'A', 1, 1, 1);
INSERT INTO messages (message_no, source, partition, position, key, digest, body, scheme, case_no, dry_run, state, received_at)
SELECT n, 't', 0, n, '', '', '', 'DAGPENGER', 1, false, state, now()
FROM unnest(ARRAY['derived', 'waiting']) WITH ORDINALITY AS m (state, n);
INSERT INTO needs (message_no, case_no, person, payment_id, digest) VALUES (1, 1, '12', '5f2c0d3a-0000-0000-0000-000000000001', 'd');
"""


def test_waiting_messages_are_queued_and_identities_of_needs_go_on(empty_database: str, tmp_path: Path) -> None:
    make_older(empty_database, before="queued", folder=tmp_path)
    with connect(empty_database) as connection:
        connection.execute(WAITING.encode())
    upgrade(empty_database)
    with connect(empty_database) as connection:
        messages = connection.execute("SELECT state FROM messages ORDER BY message_no").fetchall()
        cases = connection.execute("SELECT queued FROM cases").fetchall()
        identities = connection.execute("SELECT subject, name, digest FROM idempotency_records").fetchall()
        (stuck,) = connection.execute("SELECT message_no FROM kvitt_views.stuck WHERE what = 'message queued'").fetchall()
    assert (messages, cases, stuck) == ([("derived",), ("queued",)], [(1,)], (2,))
    assert identities == [("12", "5f2c0d3a-0000-0000-0000-000000000001", b"d")]
