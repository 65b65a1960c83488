"""`kvitt check` derives every balance of the ledger again from the postings, and finds what was tampered with (design §13)."""

from random import Random

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.check.report import Kind
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Done
from kvitt.ledger.post import LedgerWriter
from support.ledger_stage import clock, commit, hold, made, moved, rollback


def filled(conninfo: str) -> None:
    """Some plans held, some committed, some rolled back, one of two batches."""
    chance = Random(4)
    with connect(conninfo) as connection:
        post = LedgerWriter(connection, clock).execute
        accounts = made(post, 5)
        for number in range(30):
            postings = [moved(*chance.sample(accounts, 2), chance.randrange(100)) for _ in range(3)]
            calls = [hold(f"p{number}", *postings)]
            if number % 3:
                calls.append([commit, rollback][number % 2](f"p{number}", *postings))
            assert all(isinstance(each, Done) for each in post(calls))
        post([hold("p0", moved(accounts[0], accounts[1], 7), batch_id=2)])


def test_a_ledger_at_work_is_clean(database: str) -> None:
    assert check(database, PORTS).differences == ()
    filled(database)
    assert check(database, PORTS).differences == ()


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE ledger.accounts SET posted = posted + 1 WHERE account_id = 1",
        "UPDATE ledger.accounts SET available_min = available_min - 1 WHERE account_id = 2",
        "UPDATE ledger.accounts SET entries = entries + 1 WHERE account_id = 2",
        "UPDATE ledger.postings SET amount = amount + 1 WHERE plan_id = 'p1' AND position = 0",
        "DELETE FROM ledger.postings WHERE plan_id = 'p3'",
        "INSERT INTO ledger.postings VALUES ('p9', 1, 9, 1, 2, 0, 'RUB', 'x'), ('nobody', 1, 0, 1, 2, 0, 'RUB', 'x')",
        "UPDATE ledger.plans SET state = 'committed' WHERE plan_id = 'p0'",
        "DELETE FROM ledger.plans WHERE plan_id = 'p6'",
        "DELETE FROM ledger.steps WHERE plan_id = 'p1' AND operation <> 'HOLD'",
        "DELETE FROM ledger.entries WHERE account_id = 1 AND entry = 2",
        """UPDATE ledger.entries SET posted = posted + 1
           WHERE (account_id, entry) = (SELECT account_id, entries FROM ledger.accounts LIMIT 1)""",
        """UPDATE ledger.entries SET posted = posted + 1, available_min = available_min + 1, available_max = available_max + 1
           WHERE account_id = 1 AND entry = 3""",
        "UPDATE ledger.entries SET posted = posted + 4294967296 WHERE account_id = 2 AND entry = 3",
        "UPDATE ledger.entries SET available_max = available_max - 2147483647 WHERE account_id = 2 AND entry = 3",
        "UPDATE ledger.entries SET plan_id = 'other' WHERE account_id = 1 AND entry = 1",
        "UPDATE ledger.entries SET operation = 'HOLD' WHERE plan_id = 'p2' AND account_id = 1",
        "UPDATE ledger.steps SET entries[1] = entries[1] + 1 WHERE plan_id = 'p4' AND operation = 'HOLD'",
        "INSERT INTO ledger.steps SELECT 'nobody', operation, batch_id, at, '{}', '{}' FROM ledger.steps LIMIT 1",
        "INSERT INTO ledger.steps SELECT plan_id, operation, 7, at, '{}', '{}' FROM ledger.steps WHERE plan_id = 'p9' LIMIT 1",
        "INSERT INTO ledger.entries VALUES (77, 1, now(), 'p1', 'HOLD', 1, 0, 0, 0)",
        "INSERT INTO ledger.plans VALUES ('empty', 'held', now(), now())",
    ],
)
def test_what_was_tampered_with_is_found(database: str, tamper: str) -> None:
    filled(database)
    with connect(database) as connection:
        for table in ("postings", "steps", "entries"):
            connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER append_only".encode())
        assert connection.execute(tamper.encode()).rowcount > 0
    assert Kind.LEDGER in check(database, PORTS).by_kind
