"""`kvitt run` and what it refuses: another log, records that are gone, roles that are none; and how it ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import Producer

from kvitt.app.hub import HubProcess
from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved.topics import SCHEME_OF_INPUT, STATUSES
from kvitt.disbursement.check import check
from kvitt.disbursement.source import bind_database
from kvitt.errors import OtherLog
from kvitt.kernel.database import connect
from kvitt.settings import Settings
from kvitt.transports.kafka.positions import lease_of
from support.hub_messages import dp, text
from support.patience import PATIENCE_SECONDS, until

DP = "teamdagpenger.utbetaling.v1"
Row = tuple[object, ...]


def run_command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from kvitt.app.main import main; main()", "run", *arguments]


def kvitt_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(run_command(*arguments), capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)


@contextmanager
def process(config: Path, log: Path, roles: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with these roles; killed at the end if it still runs."""
    with log.open("ab") as output:
        started = subprocess.Popen(run_command("--config", str(config), "--roles", roles), stderr=output)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def config_of(directory: Path, conninfo: str, kafka: str, artemis: tuple[str, int]) -> Path:
    """Settings of an installation of the test's own."""
    name, (host, port) = uuid4().hex[:8], artemis
    lines = [
        f'database_url = "{conninfo}"',
        f"start_seconds = {PATIENCE_SECONDS}",
        f'request_queue = "requests.{name}"',
        f'reply_queue = "replies.{name}"',
        f'[kafka]\nbootstrap = "{kafka}"\ngroup = "run-{name}"',
        f'[queue]\nkind = "stomp"\nhost = "{host}"\nport = {port}',
        "[ops]\nport = 0",
    ]
    file = directory / "kvitt.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def send(kafka: str, run: str, numbers: range) -> None:
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    for number in numbers:
        producer.produce(DP, text(dp(f"{run}-{number}", 500)), f"{run}/{number}".encode())
    assert producer.flush(PATIENCE_SECONDS) == 0


def answered(connection: psycopg.Connection[Row], run: str) -> int:
    query = "SELECT count(*) FROM messages WHERE key LIKE %s AND state = 'answered'"
    row = connection.execute(query, (f"{run}/%".encode(),)).fetchone()
    return int(str(row[0])) if row else 0


def test_three_processes_share_the_roles_and_end_when_asked_with_nothing_lost(
    database: str, kafka: str, artemis: tuple[str, int], tmp_path: Path
) -> None:
    config, run = config_of(tmp_path, database, kafka, artemis), uuid4().hex[:8]
    log = tmp_path / "log"
    parts = ("intake,relay", "sender,receiver", "emulator,intake")
    with connect(database) as connection:
        with process(config, log, parts[0]) as one, process(config, log, parts[1]) as two, process(config, log, parts[2]) as three:
            send(kafka, run, range(40))
            until(lambda: answered(connection, run) == 40, what="not everything was answered")
            send(kafka, run, range(40, 150))
            until(lambda: answered(connection, run) > 55, what="no progress under load")
            for each in (one, two, three):
                each.send_signal(signal.SIGTERM)
            assert [each.wait(PATIENCE_SECONDS) for each in (one, two, three)] == [0, 0, 0], log.read_text()[-2000:]
        with process(config, log, "intake,relay,sender,receiver,emulator"):
            until(lambda: answered(connection, run) == 150, what="what was left was not answered")
            untold = "SELECT count(*) FROM unpublished"
            until(lambda: connection.execute(untold).fetchone() == (0,), what="not everything was told")
        doubled = connection.execute("SELECT event_id FROM outbox GROUP BY event_id HAVING count(*) > 1").fetchall()
        statuses = connection.execute(
            'SELECT count(*) FROM outbox WHERE topic = %s AND key LIKE %s AND value LIKE \'{"status":"OK"%%\'',
            (STATUSES, f"{run}/%".encode()),
        ).fetchone()
    assert (doubled, statuses) == ([], (150,))
    assert check(database, PORTS).differences == ()


def test_a_database_belongs_to_one_log(database: str, kafka: str) -> None:
    HubProcess(database, Settings(), ("intake",))
    with pytest.raises(OtherLog, match="belongs to the log 'embedded'"):
        HubProcess(database, Settings(kafka=KafkaSettings(bootstrap=kafka)), ("intake",))


def test_processes_that_start_together_agree_on_the_log(database: str) -> None:
    def bind(connection: psycopg.Connection[Row]) -> None:
        together.wait()
        bind_database(connection, "embedded")

    with ExitStack() as opened, ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            connections = [opened.enter_context(connect(database)) for _ in range(8)]
            connections[0].execute("DELETE FROM source")
            together = Barrier(len(connections))
            list(threads.map(bind, connections))
            opened.pop_all().close()


def test_a_database_of_kafka_is_refused_by_the_embedded_log(database: str, kafka: str) -> None:
    HubProcess(database, Settings(kafka=KafkaSettings(bootstrap=kafka)), ("intake",))
    with pytest.raises(OtherLog):
        HubProcess(database, Settings(), ("intake",))


def test_a_position_that_the_topic_does_not_hold_stops_the_partition_with_the_reason(database: str, kafka: str) -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap=kafka, group=uuid4().hex))
    with connect(database) as connection:
        for topic in SCHEME_OF_INPUT:
            lease = "INSERT INTO leases (lease, owner, fencing_token, until, position) VALUES (%s, '', 1, '-infinity', 10000000)"
            for partition in range(3):
                connection.execute(lease, (lease_of(topic, partition),))
    hub = HubProcess(database, settings, ("intake",))
    hub.start()
    try:
        until(lambda: any(state.fault == "RecordsGone" for state in hub.board.states()), what="nobody noticed")
    finally:
        hub.stop()


def test_a_wrong_role_and_a_missing_log_are_reported_in_one_line(database: str) -> None:
    wrong = kvitt_run("--roles", "intake,cook")
    assert (wrong.returncode, "no role is called cook; there are intake, rapid" in wrong.stderr) == (2, True)
    missing = kvitt_run("--roles", "rapid", "--database", database)
    assert (missing.returncode, "the role rapid reads a topic" in missing.stderr) == (2, True)


def test_brokers_that_do_not_answer_are_reported(database: str, tmp_path: Path) -> None:
    file = tmp_path / "kvitt.toml"
    file.write_text(f'database_url = "{database}"\nstart_seconds = 1.0\n[kafka]\nbootstrap = "127.0.0.1:1"\n', encoding="utf-8")
    published = kvitt_run("--config", str(file))
    assert (published.returncode, "the Kafka brokers can not be reached" in published.stderr) == (1, True)


def test_the_settings_in_force_are_shown_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "kvitt.toml"
    file.write_text('[queue]\nkind = "stomp"\nhost = "h"\npassword = "hush"\n', encoding="utf-8")
    published = kvitt_run("--config", str(file), "--show-config")
    assert (published.returncode, 'host = "h"' in published.stdout, "hush" in published.stdout) == (0, True, False)
