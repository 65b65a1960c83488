"""A person's command waits for what somebody else has locked for a few seconds; then it says what is locked, and nothing was done."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from integration.test_operate import Bench, clock
from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved.topics import EXTERNAL_INPUTS, primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Scheme
from kvitt.kernel import database as store
from kvitt.kernel.database import connect
from kvitt.ledger.calls import NewAccount
from kvitt.ledger.post import LedgerWriter
from kvitt.transports.kafka import plain as kafka_plain
from kvitt.transports.kafka.topics import ensure_topics
from kvitt.transports.log.embedded_log import make_topics
from support.console_script import EXAMPLES
from support.topics import TOPIC_TERMS, TOPICS

pytestmark = pytest.mark.usefixtures("made_up_people")

KARI = ("--by", "kari", "--reason", "a reason")
KARI_AND_OLA = (*KARI, "--approved-by", "ola")
OPERATORS = "SELECT 1 FROM operators FOR UPDATE"
ACTS = (
    ("dead", "replay", "1", *KARI_AND_OLA),
    ("dead", "close", "1", *KARI),
    ("receipt", "close", "1", *KARI),
    ("sending", "stop", "--all", *KARI),
    ("order", "withdraw", "ORDER", *KARI_AND_OLA),
    ("party", "load", str(EXAMPLES / "parties.toml"), *KARI_AND_OLA),
    (
        "ledger",
        "transfer",
        "sales-1",
        "--from",
        "1",
        "--to",
        "2",
        "--amount",
        "5",
        "--currency",
        "RUB",
        "--description",
        "x",
        *KARI_AND_OLA,
    ),
)


@pytest.fixture
def bench(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Something for each act, and commands that lose their patience soon."""
    monkeypatch.setattr(store, "PATIENCE_MS", 100)
    with connect(database) as connection:
        bench = Bench(connection)
        make_topics(connection, TOPICS)
        bench.pay("A", 100)
        bench.submit([Incoming(primary_input(Scheme.TILLEGGSSTONADER), 0, 900, b"key", b"{")])
        bench.settle([RawReceipt("r", b"garbage")])
        LedgerWriter(connection, clock).execute([NewAccount("RUB", "provider"), NewAccount("RUB", "shop")])
        yield bench


def kvitt(database: str, directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--database", database, "--data", str(directory)])


@pytest.mark.parametrize("act", ACTS, ids=lambda act: " ".join(act[:2]))
def test_an_act_is_not_done_while_its_chain_is_locked_and_is_done_once_it_is_free(
    bench: Bench, database: str, tmp_path: Path, act: Sequence[str]
) -> None:
    (order_id,) = (str(row[0]) for row in bench.connection.execute("SELECT order_id FROM orders"))
    arguments = [order_id if each == "ORDER" else each for each in act]
    with psycopg.connect(database) as stranger:
        stranger.execute(OPERATORS)
        refused = kvitt(database, tmp_path, *arguments)
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output
    assert "somebody else has locked a row of the table operators; nothing was done" in refused.output
    assert "docs/operations.md#rows-that-somebody-has-locked" in refused.output
    assert "(rows_locked, see docs/errors.md#rows-locked)" in refused.output
    assert bench.acts() == []
    done = kvitt(database, tmp_path, *arguments)
    assert done.exit_code == 0, done.output
    assert len(bench.acts()) >= 1
    assert check(database, PORTS).differences == ()


@pytest.mark.parametrize(
    ("table", "command"),
    [
        ("ledger.accounts", ("ledger", "account", "create", "--currency", "RUB")),
        ("orders", ("order", "list")),
        ("cases", ("submit", str(EXAMPLES / "dp" / "01-first-two-periods.json"), "--scheme", "dp", "--dry-run")),
        ("audit", ("audit", "list")),
    ],
)
def test_a_locked_table_ends_a_command_that_writes_or_reads_it(
    bench: Bench, database: str, tmp_path: Path, table: str, command: Sequence[str]
) -> None:
    assert bench
    with psycopg.connect(database) as stranger:
        stranger.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        refused = kvitt(database, tmp_path, *command)
    assert (refused.exit_code, "rows_locked" in refused.output) == (2, True), refused.output


def test_a_replay_that_can_not_be_noted_puts_nothing_on_a_broker(
    bench: Bench, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[object] = []
    monkeypatch.setattr(kafka_plain, "put", lambda _, records: put.extend(records))
    monkeypatch.setenv("KVITT_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    with psycopg.connect(database) as stranger:
        stranger.execute(OPERATORS)
        assert "rows_locked" in kvitt(database, tmp_path, "dead", "replay", "1", *KARI_AND_OLA).output
    assert (put, bench.acts()) == ([], [])
    assert kvitt(database, tmp_path, "dead", "replay", "1", *KARI_AND_OLA).exit_code == 0
    assert (len(put), bench.acts()) == (1, ["replay dead letter"])


def test_where_a_topic_begins_is_not_said_while_its_lease_is_locked(
    bench: Bench, database: str, tmp_path: Path, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITT_KAFKA_BOOTSTRAP", kafka)
    ensure_topics(KafkaSettings(bootstrap=kafka), TOPIC_TERMS)
    topic = EXTERNAL_INPUTS[Scheme.HISTORISK]
    bench.connection.execute(
        "INSERT INTO leases (lease, owner, fencing_token, until) VALUES (%s, '', 1, '-infinity')", (f"intake:{topic}:0",)
    )
    begin = ("kafka", "set-start-offset", "--topic", topic, "--end", *KARI)
    with psycopg.connect(database) as stranger:
        stranger.execute("SELECT 1 FROM leases FOR UPDATE")
        refused = kvitt(database, tmp_path, *begin)
    assert "somebody else has locked a row of the table leases; nothing was done" in refused.output
    assert bench.acts() == []
    assert kvitt(database, tmp_path, *begin).exit_code == 0
    assert bench.acts() == ["kafka set-start-offset"]
