"""`kvitt check` makes every payout again from its cash flow, its plans and its events, and finds what was tampered with (design §13)."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.errors import PayoutsFailed
from kvitt.kernel.database import connect
from kvitt.testing import TestServer
from support.payout_remote_stage import Fault, RemoteStage, remote_stage
from support.payout_stage import payout_stage, wanted

APPEND_ONLY = ("payouts.cash_flow", "payouts.events", "ledger.postings")


@pytest.fixture(scope="module")
def original(kvitt_server: TestServer) -> Iterator[str]:
    """A database with payouts in every state that they can be in: open, paid, confirmed, cancelled, reversed; one published again.

    And one without an id, as it could be made before ids had to say something.
    """
    with kvitt_server.database() as database:
        with payout_stage(database, 50_000) as stage:
            with pytest.MonkeyPatch.context() as before:
                before.setattr("kvitt.payouts.service.wrong_id", lambda *_: None)
                stage.payouts.create(wanted(""))
            for payout_id in ("open", "paid", "confirmed", "cancelled", "reversed"):
                stage.payouts.create(wanted(payout_id))
            stage.payouts.paid("paid", "kari", "the bank has it", "ola")
            for payout_id in ("confirmed", "reversed"):
                stage.payouts.confirm(payout_id)
            for payout_id in ("cancelled", "reversed"):
                stage.payouts.cancel(payout_id, "no")
            stage.payouts.republish("reversed", "kari", "the consumer lost them")
        yield database


@pytest.fixture
def filled(kvitt_server: TestServer, original: str) -> Iterator[str]:
    """A copy of it."""
    with kvitt_server.copy(original) as copied:
        yield copied


def tamper(conninfo: str, statement: str) -> None:
    with connect(conninfo) as connection:
        for table in APPEND_ONLY:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only".encode())
        assert connection.execute(statement.encode()).rowcount > 0


def test_payouts_at_work_are_clean(filled: str) -> None:
    report = check(filled, PORTS)
    assert report.differences == ()
    assert (report.counts.payouts, report.counts.payout_events) == (6, 11)


ONE_MORE = """INSERT INTO outbox (topic, key, value, headers, event_id, made_at)
SELECT topic, key, value, headers, gen_random_uuid(), made_at FROM outbox WHERE key = 'open'"""
SWAPPED = """UPDATE outbox AS o SET event_id = n.event_id, value = n.value
FROM (SELECT outbox_no, row_number() OVER (ORDER BY outbox_no) AS place FROM outbox WHERE key = 'confirmed') AS w
JOIN (SELECT event_id, value, row_number() OVER (ORDER BY outbox_no DESC) AS place FROM outbox WHERE key = 'confirmed') AS n USING (place)
WHERE o.outbox_no = w.outbox_no"""
TAMPERED: dict[str, tuple[Kind, str]] = {
    "a status": (Kind.PAYOUT, "UPDATE payouts.payouts SET status = 'confirmed' WHERE payout_id = 'open'"),
    "a status back": (Kind.PAYOUT, "UPDATE payouts.payouts SET status = 'unpaid' WHERE payout_id = 'paid'"),
    "a sequence": (Kind.PAYOUT, "UPDATE payouts.payouts SET sequence = 1 WHERE payout_id = ''"),
    "an amount": (Kind.PAYOUT, "UPDATE payouts.payouts SET amount = amount + 1 WHERE payout_id = 'open'"),
    "a fee": (Kind.PAYOUT, "UPDATE payouts.payouts SET fee = 0 WHERE payout_id = 'open'"),
    "a party": (Kind.PAYOUT, "UPDATE payouts.payouts SET party_id = 'x' WHERE payout_id = 'open'"),
    "details": (Kind.PAYOUT, "UPDATE payouts.payouts SET cancel_details = 'x' WHERE payout_id = 'cancelled'"),
    "a plan": (Kind.PAYOUT, "UPDATE payouts.payouts SET plan_id = 'payout_paid' WHERE payout_id = 'open'"),
    "a reversal": (Kind.PAYOUT, "UPDATE payouts.payouts SET reversal_plan_id = NULL WHERE payout_id = 'reversed'"),
    "the state of a plan": (Kind.PAYOUT, "UPDATE ledger.plans SET state = 'committed' WHERE plan_id = 'payout_open'"),
    "a rollback": (Kind.PAYOUT, "UPDATE ledger.plans SET state = 'held' WHERE plan_id = 'payout_cancelled'"),
    "a plan that is gone": (Kind.PAYOUT, "DELETE FROM ledger.plans WHERE plan_id = 'payout_open'"),
    "a movement": (Kind.PAYOUT, "UPDATE payouts.cash_flow SET amount = amount + 1 WHERE payout_id = 'open' AND position = 1"),
    "the account of a movement": (Kind.PAYOUT, "UPDATE payouts.cash_flow SET target = 1 WHERE payout_id = 'open' AND position = 2"),
    "the kind of an account": (Kind.PAYOUT, "UPDATE payouts.cash_flow SET source_type = 'x' WHERE payout_id = 'open'"),
    "a movement that is gone": (Kind.PAYOUT, "DELETE FROM payouts.cash_flow WHERE payout_id = 'open' AND position = 2"),
    "a posting": (Kind.PAYOUT, "UPDATE ledger.postings SET amount = amount + 1 WHERE plan_id = 'revert_payout_reversed'"),
    "a posting too many": (Kind.PAYOUT, "INSERT INTO ledger.postings VALUES ('payout_open', 1, 9, 1, 2, 0, 'RUB', 'x')"),
    "an event's bytes": (Kind.PAYOUT, "UPDATE payouts.events SET body = body || 'x' WHERE payout_id = 'open'"),
    "an event's time": (Kind.PAYOUT, "UPDATE payouts.events SET at = at + interval '1 s' WHERE payout_id = 'open'"),
    "an event's status": (Kind.PAYOUT, "UPDATE payouts.events SET status = 'paid' WHERE payout_id = 'reversed' AND sequence = 1"),
    "an event's hash": (Kind.PAYOUT, "UPDATE payouts.events SET hash = 'x' WHERE payout_id = 'reversed' AND sequence = 1"),
    "the last event's name": (Kind.PAYOUT, "UPDATE payouts.payouts SET last_event_hash = 'x' WHERE payout_id = 'open'"),
    "an event that is gone": (Kind.PAYOUT, "DELETE FROM payouts.events WHERE payout_id = 'reversed' AND sequence = 1"),
    "a payout that is gone": (Kind.ORPHAN, "DELETE FROM payouts.payouts WHERE payout_id = 'open'"),
    "a record that is gone": (Kind.PUBLISHED, "DELETE FROM outbox WHERE key = 'open'"),
    "a record's bytes": (Kind.PUBLISHED, "UPDATE outbox SET value = 'x' WHERE key = 'open'"),
    "a record's key": (Kind.PUBLISHED, "UPDATE outbox SET key = 'paid' WHERE key = 'open'"),
    "a record too many": (Kind.PUBLISHED, ONE_MORE),
    "how often it was told": (Kind.PUBLISHED, "UPDATE payouts.payouts SET republished = 0 WHERE payout_id = 'reversed'"),
    "the order of records": (Kind.PUBLISHED, SWAPPED),
    "an act of an operator": (Kind.CHAIN, "UPDATE audit SET note = replace(note, 'ola', 'eva') WHERE chain = 0 AND what = 'payout paid'"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_it_finds(filled: str, what: str) -> None:
    kind, statement = TAMPERED[what]
    tamper(filled, statement)
    assert kind in check(filled, PORTS).by_kind


@pytest.fixture
def remote(kvitt_server: TestServer, database: str) -> Iterator[RemoteStage]:
    with kvitt_server.database() as other, remote_stage(database, other, 50_000) as stage:
        for payout_id in ("open", "confirmed", "cancelled", "reversed"):
            stage.payouts.create(wanted(payout_id))
        for payout_id in ("confirmed", "reversed"):
            stage.payouts.confirm(payout_id)
        for payout_id in ("cancelled", "reversed"):
            stage.payouts.cancel(payout_id, "no")
        stage.ledger.faults = [Fault.LOST]
        with pytest.raises(PayoutsFailed):
            stage.payouts.create(wanted("failed"))
        yield stage


def test_payouts_of_another_ledger_are_clean_while_one_is_under_way(remote: RemoteStage) -> None:
    assert check(remote.conninfo, PORTS).differences == ()
    remote.sweep()
    assert check(remote.conninfo, PORTS).differences == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payouts.saga_steps SET state = 'compensated' WHERE payout_id = 'open'",
        "UPDATE payouts.saga_steps SET plan_id = 'x' WHERE payout_id = 'reversed' AND action = 'reverse'",
        "DELETE FROM payouts.saga_steps WHERE payout_id = 'confirmed' AND action = 'confirm'",
        "UPDATE payouts.saga_steps SET state = 'done', closed_at = now() WHERE payout_id = 'failed'",
        "UPDATE payouts.payouts SET ledger = 'own' WHERE payout_id = 'open'",
    ],
)
def test_what_was_done_at_another_ledger_is_compared_with_the_payouts(remote: RemoteStage, statement: str) -> None:
    tamper(remote.conninfo, statement)
    assert Kind.PAYOUT in check(remote.conninfo, PORTS).by_kind
