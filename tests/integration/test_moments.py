"""Moments grow along everything that has a lock, whatever the clocks of the processes do (design §1, §9)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import Outgoing
from kvitt.ledger.calls import Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.payouts.service import PayoutService
from kvitt.testing import START, TestServer
from support.hub_messages import dp, ts, ts_payment
from support.hub_stage import REPLIES, Stage, staged
from support.ledger_stage import clock, commit, hold, made, moved, rollback
from support.older_database import make_older
from support.payout_stage import payout_stage, wanted
from support.tried import tried

BACK = timedelta(minutes=-10)
KARI = Operator("kari", "a test", "ola")
TWO_AREAS = (
    ts_payment("6fa459ea-ee8a-4ca4-894e-db77e160355e"),
    ts_payment("16fd2706-8baf-433b-82eb-8c7fada847da", benefit="DAGLIG_REISE_ENSLIG_FORSØRGER"),
)


class Jumping:
    """A clock that goes on by a second at each look, or jumps to wherever `jumps` say, in seconds."""

    def __init__(self, *jumps: int) -> None:
        self._jumps, self._now = list(jumps), START

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=self._jumps.pop(0) if self._jumps else 1)
        return self._now


def at(moment: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: moment


@given(
    jumps=st.lists(st.lists(st.integers(-300, 300), min_size=12, max_size=12), min_size=3, max_size=3),
    looks=st.lists(st.integers(-600, 1200), min_size=6, max_size=6),
    seed=st.integers(0, 2**32),
)
@tried(15)
def test_a_balance_of_the_past_that_was_answered_stays_so_for_ever(
    ledger_database: str, jumps: list[list[int]], looks: list[int], seed: int
) -> None:
    """Three processes post to the same accounts at once, each by a clock of its own that jumps back and forth; a fourth one looks."""
    with connect(ledger_database) as connection:
        accounts = made(LedgerWriter(connection, clock).execute, 3)
    answered: list[tuple[int, datetime, tuple[int, int, int]]] = []

    def posts(process: int) -> None:
        chance = Random(seed + process)
        with connect(ledger_database) as connection:
            post = LedgerWriter(connection, Jumping(*jumps[process])).execute
            for number in range(4):
                postings = [moved(*chance.sample(accounts, 2), chance.randrange(1, 100)) for _ in range(2)]
                plan = f"{accounts[0]}-{process}-{number}"
                end = chance.choice([commit, rollback])
                assert all(isinstance(each, Done) for each in (*post([hold(plan, *postings)]), *post([end(plan, *postings)])))

    def looking() -> None:
        chance = Random(seed)
        with connect(ledger_database) as connection:
            for seconds in looks:
                account, moment = chance.choice(accounts), START + timedelta(seconds=seconds)
                answered.append((account, moment, tuple(LedgerReader(connection).totals_before(account, moment, moment))))

    with ThreadPoolExecutor(4) as pool:
        for each in [*(pool.submit(posts, process) for process in range(3)), pool.submit(looking)]:
            each.result()
    with connect(ledger_database) as connection:
        for account, moment, then in answered:
            assert tuple(LedgerReader(connection).totals_before(account, moment, moment)) == then
        for account in accounts:
            moments = [entry.at for entry in LedgerReader(connection).statement(account)]
            assert moments == sorted(moments)


def test_an_answer_waits_for_who_is_at_work_on_the_account(ledger_database: str) -> None:
    with connect(ledger_database) as one, connect(ledger_database) as two, ThreadPoolExecutor(1) as pool:
        post, ledger = LedgerWriter(one, at(START)).execute, LedgerReader(two)
        a, b = made(post, 2)
        with one.transaction():
            assert isinstance(post([hold(f"{a}", moved(a, b, 5))])[0], Done)
            look = pool.submit(ledger.totals_before, b, START + timedelta(seconds=1), START + timedelta(seconds=1))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s"
            while one.execute(waits, (two.info.backend_pid,)).fetchone() == (0,):
                assert not look.done()
        assert look.result() == (0, 0, 5)


def test_what_is_to_come_is_not_closed_by_looking_at_it(ledger_database: str) -> None:
    with connect(ledger_database) as connection:
        post, ledger = LedgerWriter(connection, at(START)).execute, LedgerReader(connection)
        a, b = made(post, 2)
        later = START + timedelta(days=1)
        assert ledger.totals_before(b, later, START) == (0, 0, 0)
        post([hold(f"{a}", moved(a, b, 5))])
        assert ledger.totals_before(b, later, START) == (0, 0, 5)
        assert [entry.at for entry in ledger.statement(b)] == [START]


def test_a_step_is_not_earlier_than_what_any_of_its_accounts_and_its_plan_have_seen(database: str) -> None:
    with connect(database) as connection:
        fast, slow = LedgerWriter(connection, at(START)).execute, LedgerWriter(connection, at(START + BACK)).execute
        a, b, c = made(fast, 3)
        fast([hold("p1", moved(a, b, 5))])
        slow([hold("p2", moved(b, c, 5)), hold("p1", moved(c, a, 1), batch_id=2), hold("p3", moved(c, a, 1))])
        ledger = LedgerReader(connection)
        assert {entry.at for each in (a, b, c) for entry in ledger.statement(each)} == {START}
        assert (ledger.plan("p1").changed_at, ledger.plan("p2").held_at) == (START, START)
        x, y = made(slow, 2)
        slow([hold("p4", moved(x, y, 5))])
        assert ledger.plan("p4").held_at == START + BACK
    assert check(database, PORTS).differences == ()


def test_events_of_a_payout_are_not_earlier_than_the_one_before_and_than_its_accounts(database: str) -> None:
    with payout_stage(database) as stage:
        slow = PayoutService(database, at(START + BACK), stage.terms)
        fast = PayoutService(database, at(datetime.now(UTC) + timedelta(hours=1)), stage.terms)
        try:
            fast.create(wanted("p-1"))
            slow.create(wanted("p-2"))
            for payout_id in ("p-1", "p-2"):
                slow.confirm(payout_id)
            slow.cancel("p-1", "back")
            moments = [event.at for event in slow.events("p-1")]
            assert moments == sorted(moments)
            assert slow.events("p-2")[0].at == fast.events("p-1")[0].at
        finally:
            slow.close()
            fast.close()
    assert check(database, PORTS).differences == ()


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage


def published(stage: Stage, key: str) -> list[tuple[str, datetime]]:
    query = "SELECT made_at FROM outbox WHERE topic = 'helved.status.v1' AND key = %s ORDER BY outbox_no"
    return list(zip(stage.said(key), [row[0] for row in stage.rows(query, key.encode())], strict=True))  # type: ignore[arg-type]


def test_what_happens_to_a_case_and_what_is_published_about_it_never_goes_back(stage: Stage) -> None:
    """Whoever takes in, sends or settles has a clock of its own; here each look is at one that is ahead, or behind."""
    stage.clock.set(START)
    stage.hand_in(Scheme.DAGPENGER, ("m-1", dp("A")))
    stage.clock.set(START + BACK)
    stage.hand_in(Scheme.DAGPENGER, ("m-2", dp("A", 700)))
    for _ in range(2):
        orders = stage.sender.dequeue(9)
        stage.requests.put([Outgoing(order.order_id, order.message, REPLIES) for order in orders])
        stage.clock.set(START - BACK)
        stage.sender.sent([(order.order_id, order.message_no) for order in orders])
        stage.clock.set(START + BACK)
        stage.settle(stage.rail())
    for key in ("m-1", "m-2"):
        moments = [moment for _, moment in published(stage, key)]
        assert moments == sorted(moments)
        assert [status for status, _ in published(stage, key)][-2:] == ["HOS_OPPDRAG", "OK"]
    audit = stage.rows("SELECT at FROM audit WHERE chain > 0 ORDER BY chain, seq")
    assert audit == sorted(audit)  # type: ignore[type-var]
    assert stage.one("SELECT count(*) FROM orders WHERE sent_at < sending_at OR sending_at < made_at OR settled_at < sent_at") == 0
    assert check(stage.conninfo, PORTS).differences == ()


def test_a_message_whose_orders_leave_one_by_one_hears_in_order(stage: Stage) -> None:
    stage.hand_in(Scheme.TILLEGGSSTONADER, ("m-1", ts("A", TWO_AREAS[0], TWO_AREAS[1])))
    orders = stage.sender.dequeue(9)
    stage.requests.put([Outgoing(order.order_id, order.message, REPLIES) for order in orders])
    for order, moment in zip(orders, (START - BACK, START), strict=True):
        stage.clock.set(moment)
        stage.sender.sent([(order.order_id, order.message_no)])
    stage.clock.set(START)
    stage.settle(stage.rail())
    moments = [moment for _, moment in published(stage, "m-1")]
    assert (len(orders), moments) == (2, sorted(moments))
    assert stage.one("SELECT count(*) FROM orders WHERE settled_at < sent_at") == 0
    assert check(stage.conninfo, PORTS).differences == ()


def test_an_order_is_taken_back_and_the_next_message_derived_not_earlier_than_what_was_before(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("m-1", dp("A")), ("m-2", dp("A", 700)))
    stage.clock.set(START + BACK)
    order_id = str(stage.one("SELECT order_id::text FROM orders"))
    operate = Operate(stage.connection, stage.clock, PORTS)
    operate.stop(["DP"], KARI)
    stage.clock.set(START + 2 * BACK)
    operate.withdraw(order_id, KARI)
    assert stage.order_states("A") == ["withdrawn", "ready"]
    assert check(stage.conninfo, PORTS).differences == ()


TAMPERED = {
    "an account": (Kind.LEDGER, "UPDATE ledger.entries SET at = at - interval '1 h' WHERE entry = 2"),
    "an account's last moment": (Kind.LEDGER, "UPDATE ledger.accounts SET last_at = 'epoch' WHERE entries > 0"),
    "an entry": (Kind.LEDGER, "UPDATE ledger.entries SET at = at + interval '1 h' WHERE entry = 1"),
    "a plan": (Kind.LEDGER, "UPDATE ledger.steps SET at = at - interval '1 h' WHERE operation = 'COMMIT'"),
    "a plan's last moment": (Kind.LEDGER, "UPDATE ledger.plans SET changed_at = changed_at + interval '1 h'"),
    "a payout": (Kind.PAYOUT, "UPDATE payouts.events SET at = at - interval '1 h' WHERE sequence = 1"),
    "a payout's beginning": (Kind.PAYOUT, "UPDATE payouts.payouts SET created_at = created_at + interval '1 h'"),
    "a payout's last moment": (Kind.PAYOUT, "UPDATE payouts.payouts SET last_at = 'epoch'"),
    "a payout before its plan": (Kind.PAYOUT, "UPDATE ledger.plans SET changed_at = changed_at + interval '1 h'"),
    "a case": (Kind.CHAIN, "UPDATE audit SET at = at - interval '1 h' WHERE chain > 0 AND seq = 2"),
    "a case's last moment": (Kind.CHAIN, "UPDATE cases SET last_at = 'epoch'"),
    "the operators": (Kind.CHAIN, "UPDATE audit SET at = at - interval '1 h' WHERE chain = 0 AND seq = 2"),
    "what was told": (
        Kind.PUBLISHED,
        "UPDATE outbox SET made_at = made_at - interval '1 h' WHERE topic = 'helved.status.v1' AND outbox_no > 3",
    ),
}


@pytest.fixture(scope="module")
def clean(kvitt_server: TestServer) -> Iterator[str]:
    """A database in which nothing goes back, to be copied."""
    with kvitt_server.database() as conninfo:
        with payout_stage(conninfo) as payouts:
            payouts.payouts.create(wanted())
            payouts.payouts.confirm("p-1")
            for _ in range(2):
                payouts.payouts.republish("p-1", "kari", "the consumer lost them")
        with staged(conninfo) as stage:
            stage.hand_in(Scheme.DAGPENGER, ("m-1", dp("A")))
            stage.finish()
            for table in ("ledger.entries", "ledger.steps", "payouts.events"):
                stage.connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only".encode())
        assert check(conninfo, PORTS).differences == ()
        yield conninfo


@pytest.mark.parametrize("what", TAMPERED)
def test_what_goes_back_is_found(kvitt_server: TestServer, clean: str, what: str) -> None:
    kind, statement = TAMPERED[what]
    with kvitt_server.copy(clean) as changed:
        with connect(changed) as connection:
            assert connection.execute(statement.encode()).rowcount > 0
        assert kind in check(changed, PORTS).by_kind


BEFORE = """
INSERT INTO ledger.accounts (currency, created_at) VALUES ('RUB', now()), ('RUB', now());
INSERT INTO ledger.plans VALUES ('p', 'held', '2026-01-01T10:00Z', '2026-01-01T10:00Z');
INSERT INTO ledger.postings VALUES ('p', 1, 0, 1, 2, 5, 'RUB', 'x'), ('p', 2, 0, 1, 2, 5, 'RUB', 'x');
INSERT INTO ledger.steps (plan_id, operation, batch_id, at, accounts, entries)
VALUES ('p', 'HOLD', 1, '2026-01-01T10:00Z', '{1,2}', '{1,1}'), ('p', 'HOLD', 2, '2026-01-01T09:00Z', '{1,2}', '{2,2}');
INSERT INTO ledger.entries VALUES
    (1, 1, '2026-01-01T10:00Z', 'p', 'HOLD', 1, 0, -5, 0), (2, 1, '2026-01-01T10:00Z', 'p', 'HOLD', 1, 0, 0, 5),
    (1, 2, '2026-01-01T09:00Z', 'p', 'HOLD', 2, 0, -10, 0), (2, 2, '2026-01-01T09:00Z', 'p', 'HOLD', 2, 0, 0, 10);
UPDATE ledger.accounts SET entries = 2, least = CASE account_id WHEN 1 THEN -10 ELSE 0 END;
UPDATE ledger.accounts SET most = least + 10;
"""


def test_what_went_back_before_moments_were_kept_is_passed_by_and_what_goes_back_later_is_not(empty_database: str, tmp_path: Path) -> None:
    make_older(empty_database, before="moments", folder=tmp_path)
    with connect(empty_database) as connection:
        connection.execute(BEFORE.encode())
    upgrade(empty_database)
    assert check(empty_database, PORTS).differences == ()
    with connect(empty_database) as connection:
        found = connection.execute("SELECT kind, subject, until FROM early_moments ORDER BY 1, 2").fetchall()
        assert found == [("account", "1", 2), ("account", "2", 2), ("plan", "p", 2)]
        post, ledger = LedgerWriter(connection, at(datetime(2026, 1, 1, 8, tzinfo=UTC))).execute, LedgerReader(connection)
        assert isinstance(post([hold("q", moved(2, 1, 1))])[0], Done)
        assert [entry.at.hour for entry in ledger.statement(1)] == [10, 9, 10]
        assert check(empty_database, PORTS).differences == ()
        connection.execute("ALTER TABLE ledger.entries DISABLE TRIGGER append_only")
        connection.execute("UPDATE ledger.entries SET at = at - interval '2 h' WHERE entry = 3")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO early_moments VALUES ('account', '9', 9)")
    assert Kind.LEDGER in check(empty_database, PORTS).by_kind
