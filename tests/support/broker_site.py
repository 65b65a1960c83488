"""A site as in production: PostgreSQL, Kafka, Artemis, hubs and the rail, each a process of its own that can be killed."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from brokers.artemis import Artemis
from brokers.kafka import Kafka

from kvitt.broker_settings import KafkaSettings
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres import EmbeddedServer
from kvitt.testing.scratch import scratch_directory
from kvitt.transports.kafka.topics import ensure_topics
from support.broker_fixtures import running_artemis, running_kafka
from support.kill_harness import Process, Watch
from support.patience import PATIENCE_SECONDS
from support.topics import TOPIC_TERMS

RAIL = "rail"
_LEASE_SECONDS = 2.0
_HUB_ROLES, _RAIL_ROLES = ("intake", "relay", "sender", "receiver"), ("emulator",)
_WORDS = 3000
_LEASES = "SELECT owner, until - now(), count(*), min(lease), max(lease) FROM leases GROUP BY 1, 2 ORDER BY 2"
_OPEN = """
SELECT 'orders ' || state, count(*), min(coalesce(sending_at, made_at)), max(coalesce(sending_at, made_at)), min(order_id::text)
FROM orders WHERE state NOT IN ('accepted', 'rejected') GROUP BY 1
UNION ALL SELECT 'messages ' || state, count(*), min(received_at), max(received_at), min(source || partition)
FROM messages WHERE state <> 'answered' GROUP BY 1
UNION ALL SELECT 'outbox', count(*), NULL, NULL, NULL FROM unpublished
UNION ALL SELECT 'read', sum(position), NULL, NULL, NULL FROM leases WHERE lease LIKE 'intake:%'
UNION ALL SELECT concat_ws(' ', 'backend', application_name, state, wait_event), 1, xact_start, state_change, left(query, 60)
FROM pg_stat_activity WHERE xact_start < now() - interval '1 second'
"""
Marks = dict[str, int]


class Site:
    """The servers run as long as the site; processes come and go by name, `rail` is the emulator, all others are hubs."""

    def __init__(self, directory: Path, server: EmbeddedServer, kafka: Kafka, artemis: Artemis) -> None:
        self.server, self.kafka, self.artemis = server, kafka, artemis
        self.data = directory / "database"
        self.watch = Watch(self.data)
        self.processes: dict[str, Process] = {}
        self._directory = directory

    @property
    def hubs(self) -> Sequence[str]:
        """The names of the hub processes that were started."""
        return [name for name in self.processes if name != RAIL]

    def start(self, *names: str, die_at: str = "", static: bool = True) -> None:
        """Starts processes. A `static` hub has its name in the consumer group, which gives it its partitions back as soon as it returns."""
        for name in names:
            config = self._directory / f"{name}.toml"
            config.write_text(self._config(name if static and name != RAIL else None))
            roles = ",".join(_RAIL_ROLES if name == RAIL else _HUB_ROLES)
            self.processes[name] = Process(["run", "--roles", roles, "--config", str(config)], self.log(name), die_at)

    def log(self, name: str) -> Path:
        """What a process by that name says, all its lives."""
        return self._directory / f"{name}.log"

    def last_words(self) -> str:
        """The ends of all logs, who holds which leases, and what is open."""
        logs = [f"--- {name}\n{self.log(name).read_text()[-_WORDS:]}" for name in self.processes if self.log(name).exists()]
        return "\n".join([*logs, f"--- leases\n{self.watch.rows(_LEASES)}", f"--- open\n{self.watch.rows(_OPEN)}"])

    def end(self) -> None:
        """SIGTERM to all processes, which must end in order."""
        ended = {name: process.end() for name, process in self.processes.items()}
        self.processes.clear()
        assert set(ended.values()) <= {0}, {name: self.log(name).read_text()[-2000:] for name, status in ended.items() if status}

    def kill_all(self) -> None:
        """SIGKILL to all processes, whatever state they are in."""
        for process in self.processes.values():
            process.kill()
        self.processes.clear()
        self.watch.forget()

    def kill_database(self) -> None:
        """SIGKILL to the postmaster; it is started again by itself."""
        os.kill(self.server.pid, signal.SIGKILL)

    def count(self, query: str, *arguments: object) -> int | None:
        """The one number that a query gives; None while there is no server."""
        rows = self.watch.rows(query, *arguments)
        return None if rows is None else int(str(rows[0][0]))

    @property
    def owners(self) -> int | None:
        """How many hubs have a share of the input topics, or had when they were lost."""
        return self.count("SELECT count(DISTINCT owner) FROM leases WHERE lease LIKE 'intake:%' AND until > '-infinity'")

    def marks(self) -> Marks | None:
        """How far each input partition is read, and how much was sent, settled and published; None while nobody can tell."""
        rows = self.watch.rows(_MARKS)
        return None if rows is None else {str(what): int(str(number)) for what, number in rows}

    def has_passed(self, before: Marks) -> bool:
        """Whether every part has got further than it had."""
        now = self.marks()
        return now is not None and all(now[what] > number for what, number in before.items())

    def _config(self, instance: str | None) -> str:
        host, port = self.artemis.address
        named = f"instance = {json.dumps(instance)}\n" if instance else ""
        return (
            f"database_url = {json.dumps(self.server.conninfo)}\nlease_seconds = {_LEASE_SECONDS}\nstart_seconds = {PATIENCE_SECONDS}\n"
            f"[kafka]\nbootstrap = {json.dumps(self.kafka.address)}\n{named}"
            f'[queue]\nkind = "stomp"\nhost = {json.dumps(host)}\nport = {port}\n'
        )


_MARKS = """
SELECT lease, position FROM leases WHERE lease LIKE 'intake:%' AND position > 0
UNION ALL SELECT 'sender', count(*) FROM orders WHERE sent_at IS NOT NULL
UNION ALL SELECT 'receiver', count(*) FROM receipts
UNION ALL SELECT 'relay', count(*) FROM outbox_places WHERE relayed_at IS NOT NULL
"""


@contextmanager
def running_site() -> Iterator[Site]:
    """A site with a fresh database and fresh brokers, for as long as the block runs; its processes are ended with it."""
    with ExitStack() as stack:
        directory = stack.enter_context(scratch_directory())
        kafka, artemis = stack.enter_context(running_kafka()), stack.enter_context(running_artemis())
        server = stack.enter_context(EmbeddedServer(directory / "database"))
        upgrade(server.conninfo)
        ensure_topics(KafkaSettings(bootstrap=kafka.address), TOPIC_TERMS)
        site = Site(directory, server, kafka, artemis)
        stack.callback(site.kill_all)
        yield site
