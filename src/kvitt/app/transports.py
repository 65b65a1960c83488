"""Which log and which queue: tables of our own database, or Kafka and a broker, as the settings say. The roles do not know."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from kvitt.broker_settings import KafkaSettings, QueueSettings
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.source import bind_database
from kvitt.disbursement.submit import Outcome
from kvitt.errors import LeaseLost
from kvitt.formats.topics import EMBEDDED_INPUT_PARTITIONS, OF_PAYOUTS, PAYOUT_EVENTS, RAPID, TopicTerms
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import LOCK_MS, PATIENCE_MS, Connection, connect
from kvitt.kernel.leases import Lease, LeaseKeeper
from kvitt.kernel.loop import LoopStep, MakeStep, WakeUp
from kvitt.kernel.queue import Queue
from kvitt.ops.figures import ReadLag, TopicLag
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import LogRelay, make_topics
from kvitt.transports.log.intake import Intake
from kvitt.transports.queue.table_queue import TableQueue

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

Hand = Callable[[Incoming, int], "Future[Outcome]"]
EMBEDDED = "embedded"
_RELAY_LEASE, _LOOK_SECONDS, _ASK_SECONDS = "relay", 0.2, 1.0


def queue_named(conninfo: str, settings: QueueSettings, name: str) -> Queue:
    """A queue of the kind that is set. Raises QueueClientMissing, OSError for TLS files that are not there."""
    if settings.kind == "stomp":
        from kvitt.transports.queue.stomp_connection import StompTls
        from kvitt.transports.queue.stomp_queue import StompQueue

        tls = StompTls(settings.ca_file, settings.certificate_file, settings.key_file) if settings.tls else None
        assert settings.port is not None, "settings are completed when they are loaded"
        return StompQueue(
            settings.host,
            settings.port,
            name,
            user=settings.user,
            password=settings.password,
            max_redeliveries=settings.max_redeliveries,
            tls=tls,
        )
    if settings.kind == "mq":
        from kvitt.transports.queue.mq_queue import MqQueue, MqServer

        assert settings.port is not None, "settings are completed when they are loaded"
        server = MqServer(
            settings.host,
            settings.port,
            settings.queue_manager,
            settings.channel,
            settings.user,
            settings.password,
            settings.cipher,
            settings.key_repository,
        )
        return MqQueue(server, name, max_redeliveries=settings.max_redeliveries)
    return TableQueue(conninfo, name)


class QueuePair(Struct, frozen=True):
    """The queues of a rail: orders go out on one, and its answers come in on the other."""

    requests: str
    replies: str


def queues_of(settings: Settings, rail: str, *, default: str) -> QueuePair:
    """The queues of a rail: of the `default` one those that are set, of others two that are called after them."""
    if rail == default:
        return QueuePair(settings.request_queue, settings.reply_queue)
    return QueuePair(f"{rail}.request", f"{rail}.receipts")


def records_behind_at_brokers(connection: Connection, settings: KafkaSettings, ports: Ports) -> int | None:
    """How many records of all input topics are not taken in, by whatever process; None where no broker answers within a second."""
    from confluent_kafka import KafkaException

    from kvitt.transports.kafka.clients import new_admin
    from kvitt.transports.kafka.positions import positions

    try:
        new_admin(settings).list_topics(timeout=_ASK_SECONDS)
        return sum(each.lag for each in positions(connection, settings, list(ports.contracts.inputs())))
    except (KafkaException, TimeoutError):
        return None


def topics_of(contracts: Contracts) -> Sequence[TopicTerms]:
    """All topics of a hub, those of payouts too."""
    return (*contracts.topics, *OF_PAYOUTS)


class EmbeddedTransport:
    """The log as tables."""

    read_lag: ReadLag | None = None
    ask_brokers: Callable[[], object] | None = None

    def __init__(self, conninfo: str, ports: Ports) -> None:
        self._conninfo, self._contracts = conninfo, ports.contracts

    def prepare(self) -> None:
        """Makes what is missing. Raises OtherLog when the database belongs to another log."""
        with connect(self._conninfo, lock_timeout_ms=PATIENCE_MS) as connection:
            bind_database(connection, EMBEDDED)
            make_topics(connection, self._contracts.inputs(), EMBEDDED_INPUT_PARTITIONS)
            make_topics(connection, [terms.name for terms in topics_of(self._contracts)])

    def require_start_offset(self) -> None:
        """Nothing is required: what was taken in and what comes next are tables of one database."""

    def intake(self, keeper: LeaseKeeper, hand: Hand, role: str) -> MakeStep:
        """Reads the topics of a role."""
        return Intake(self._conninfo, keeper, hand, topics=self._contracts.inputs(role)).steps

    @contextmanager
    def relay(self, connection: Connection, lease: Lease) -> Iterator[LoopStep]:
        """Publishes what the outbox holds."""
        yield LogRelay(connection, utc_now, lease).step


class KafkaTransport:
    """The log on Kafka brokers."""

    def __init__(self, conninfo: str, settings: KafkaSettings, ports: Ports, roles: Sequence[str]) -> None:
        """Reads what these roles read; what is only of other roles need not be there."""
        self._conninfo, self._settings, self._contracts = conninfo, settings, ports.contracts
        self._topics = [topic for role in roles for topic in ports.contracts.inputs(role)]
        self._admin: AdminClient | None = None
        others = {RAPID: "rapid", PAYOUT_EVENTS: "payouts"}
        self._others = [topic for topic, role in others.items() if role not in roles]
        self.read_lag: ReadLag | None = self._lag
        self.ask_brokers: Callable[[], object] | None = self._ask

    def _lag(self) -> Sequence[TopicLag]:
        """How far we lag behind on the topics of this process; raises KafkaException or psycopg errors when they can not be asked."""
        from kvitt.transports.kafka.positions import positions

        lags: Counter[str] = Counter()
        with connect(self._conninfo, application="kvitt lag") as connection:
            for each in positions(connection, self._settings, self._topics):
                lags[each.topic] += each.lag
        return [TopicLag(topic, records) for topic, records in lags.items()]

    def _ask(self) -> object:
        """Raises KafkaException when no broker answers within a second."""
        from kvitt.transports.kafka.clients import new_admin

        self._admin = self._admin or new_admin(self._settings)
        return self._admin.list_topics(timeout=_ASK_SECONDS)

    def prepare(self) -> None:
        """Makes or checks topics. Raises OtherLog, TopicsDiffer, KafkaException when no broker answers."""
        from kvitt.transports.kafka.topics import cluster_of, ensure_topics

        with connect(self._conninfo, lock_timeout_ms=PATIENCE_MS) as connection:
            bind_database(connection, f"kafka {cluster_of(self._settings)}")
            ensure_topics(self._settings, [terms for terms in topics_of(self._contracts) if terms.name not in self._others])

    def require_start_offset(self) -> None:
        """Looks whether it is known where to go on. Raises NotBegun, RecordsGone; KafkaException or TimeoutError when no broker answers."""
        from kvitt.transports.kafka.positions import require_start_offset
        from kvitt.transports.kafka.topics import TopicIds

        with connect(self._conninfo, lock_timeout_ms=PATIENCE_MS) as connection:
            TopicIds(self._settings, self._topics).check(connection)
            require_start_offset(connection, self._settings, self._topics)

    def intake(self, keeper: LeaseKeeper, hand: Hand, role: str) -> MakeStep:
        """Reads the topics of a role, as a consumer group of its own for each role."""
        from kvitt.transports.kafka.intake import KafkaIntake

        return KafkaIntake(self._conninfo, keeper, hand, self._settings, topics=list(self._contracts.inputs(role))).steps

    @contextmanager
    def relay(self, connection: Connection, lease: Lease) -> Iterator[LoopStep]:
        """Publishes what the outbox holds; earlier relays are fenced."""
        from kvitt.transports.kafka.relay import KafkaRelay

        relay = KafkaRelay(connection, utc_now, lease, self._settings)
        try:
            yield relay.step
        finally:
            relay.close()


Log = EmbeddedTransport | KafkaTransport


def log_of(conninfo: str, settings: Settings, ports: Ports, roles: Sequence[str]) -> Log:
    """The log that is set, for a process with these roles."""
    if settings.kafka is None:
        return EmbeddedTransport(conninfo, ports)
    return KafkaTransport(conninfo, settings.kafka, ports, roles)


class RelayRole:
    """The relay as a role: one at a time, by lease, woken when there is something to publish."""

    def __init__(self, conninfo: str, keeper: LeaseKeeper, log: Log, wake_up: WakeUp) -> None:
        self._conninfo, self._keeper, self._log, self._wake_up = conninfo, keeper, log, wake_up

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Takes the lease and returns the step of the loop."""
        with connect(self._conninfo, application="kvitt relay", lock_timeout_ms=LOCK_MS) as connection:
            grant = self._keeper.acquire(connection, _RELAY_LEASE)
            if grant is None:
                raise LeaseLost(f"{_RELAY_LEASE} is held by another process")
            opened: AbstractContextManager[LoopStep] = self._log.relay(connection, grant.lease)
            with opened as step:
                yield lambda: step() or self._wait_for_records()

    def _wait_for_records(self) -> int:
        self._wake_up.sleep(_LOOK_SECONDS)
        return 0


def sleep(stop: threading.Event, seconds: float) -> int:
    """Waits a moment, or until stopped; nothing was done."""
    stop.wait(seconds)
    return 0
