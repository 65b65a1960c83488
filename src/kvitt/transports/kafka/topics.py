"""The topics as the contract wants them, made where they are missing (helved §1); and whether they are those that were read before."""

from collections.abc import Mapping, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]
from msgspec.structs import replace

from kvitt.broker_settings import KafkaSettings
from kvitt.errors import RecordsGone, TopicsDiffer
from kvitt.formats.topics import PARTITIONS, Keeping, TopicTerms
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_values
from kvitt.kernel.queries import load
from kvitt.transports.kafka.clients import names_of, new_admin

_SQL = load("kafka", "kvitt.transports.kafka")
_log = structlog.get_logger(__name__)
_ADMIN_SECONDS, _DESCRIBE_SECONDS = 15.0, 10.0
_TWO_WEEKS_MS = 336 * 3_600_000
_SAFE_REPLICATION, _MIN_IN_SYNC = 3, 2


def _config_of(terms: TopicTerms) -> dict[str, str]:
    """The terms of a topic as a broker takes them."""
    if terms.keeping is Keeping.OWNERS:
        return {}
    keep = -1 if terms.keeping is Keeping.COMPACT else _TWO_WEEKS_MS
    return {"cleanup.policy": terms.keeping.value, "retention.ms": str(keep)}


def ensure_topics(settings: KafkaSettings, topics: Sequence[TopicTerms]) -> list[str]:
    """Makes the topics that are missing and checks the others; returns the names of those that were made.

    Partitions and cleanup must be as the contracts want them: another count would put keys elsewhere than joins expect, and a state
    topic that deletes forgets payments. Another retention is only warned of. Raises TopicsDiffer, KafkaException when no broker answers.
    """
    admin = new_admin(settings)
    there = admin.list_topics(timeout=_ADMIN_SECONDS).topics
    named = names_of(settings)
    outside = [replace(terms, name=named(terms.name)) for terms in topics]
    missing = [terms for terms in outside if terms.name not in there]
    faults = []
    made: list[str] = []
    if settings.make_topics:
        made = _make(admin, missing, settings.replication)
    else:
        faults = [f"{terms.name} is missing" for terms in missing]
    ours = [terms for terms in outside if terms.name in there and terms.keeping is not Keeping.OWNERS]
    for terms in ours:
        count = len(there[terms.name].partitions)
        if count != PARTITIONS:
            faults.append(f"{terms.name} has {count} partitions, not {PARTITIONS}")
    faults += _config_faults(admin, ours)
    if faults:
        raise TopicsDiffer("; ".join(faults))
    return made


def _make(admin: AdminClient, missing: Sequence[TopicTerms], replication: int) -> list[str]:
    if not missing:
        return []
    in_sync = {"min.insync.replicas": str(_MIN_IN_SYNC)} if replication >= _SAFE_REPLICATION else {}
    wanted = [NewTopic(terms.name, PARTITIONS, replication, config={**_config_of(terms), **in_sync}) for terms in missing]
    made = []
    for name, future in admin.create_topics(wanted, operation_timeout=_ADMIN_SECONDS).items():
        try:
            future.result(_ADMIN_SECONDS)
            made.append(name)
        except KafkaException as error:
            # Another process that starts at the same time makes the same topics.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsDiffer(f"{name} is missing and could not be made: {error.args[0].str()}") from error
    return made


def _config_faults(admin: AdminClient, ours: Sequence[TopicTerms]) -> list[str]:
    if not ours:
        return []
    faults = []
    asked = {terms.name: ConfigResource(ResourceType.TOPIC, terms.name) for terms in ours}
    answers = admin.describe_configs(list(asked.values()))
    for terms in ours:
        entries = answers[asked[terms.name]].result(_ADMIN_SECONDS)
        cleanup = ",".join(sorted(entries["cleanup.policy"].value.split(",")))
        if cleanup != terms.keeping:
            faults.append(f"{terms.name} has cleanup {cleanup}, not {terms.keeping.value}")
        # What is only compacted is kept for ever, whatever its retention says.
        kept = entries["retention.ms"].value
        if terms.keeping is Keeping.COMPACT_AND_DELETE and kept != _config_of(terms)["retention.ms"]:
            _log.warning("topic has another retention", topic=terms.name, retention_ms=kept, wanted_ms=_TWO_WEEKS_MS)
    return faults


def cluster_of(settings: KafkaSettings) -> str:
    """The id of the cluster, which tells it from every other one. Raises KafkaException when no broker answers."""
    return str(new_admin(settings).list_topics(timeout=_ADMIN_SECONDS).cluster_id)


class TopicIds:
    """Asks the brokers for the ids of some input topics: one that was made anew has another, and the stored positions say nothing of it."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        named = names_of(settings)
        self._sources = {named(topic): topic for topic in topics}
        self._admin = new_admin(settings)

    def check(self, connection: Connection) -> None:
        """Notes the ids of topics that are new to us. Raises RecordsGone when one was made anew, KafkaException or TimeoutError."""
        asked = _columns(self._ids())
        connection.execute(_SQL.note_topics, asked)
        if others := fetch_values(connection, _SQL.other_topics, asked):
            raise RecordsGone(f"{', '.join(others)} was made anew: say where to go on with kvitt kafka set-start-offset --over")

    def renew(self, connection: Connection) -> bool:
        """Notes the ids whatever they were before; returns whether any was another. Raises KafkaException or TimeoutError."""
        asked = _columns(self._ids())
        others = fetch_values(connection, _SQL.other_topics, asked)
        connection.execute(_SQL.renew_topics, asked)
        return bool(others)

    def _ids(self) -> Mapping[str, str]:
        if not self._sources:
            return {}
        answers = self._admin.describe_topics(TopicCollection(list(self._sources)), request_timeout=_DESCRIBE_SECONDS)
        return {self._sources[name]: str(answer.result(_DESCRIBE_SECONDS).topic_id) for name, answer in answers.items()}


def _columns(ids: Mapping[str, str]) -> dict[str, list[str]]:
    return {"topics": list(ids), "ids": list(ids.values())}
