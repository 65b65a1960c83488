"""Whether the input topics are still those that the stored positions belong to: a topic that was made anew has another id."""

from collections.abc import Mapping, Sequence

from confluent_kafka import TopicCollection

from kvitt.config import KafkaSettings
from kvitt.doors.kafka_clients import names_of, new_admin
from kvitt.errors import RecordsGone
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load

_SQL = load("kafka", "kvitt.store")
_BROKER_SECONDS = 10.0


class TopicIds:
    """Asks the brokers for the ids of some input topics, on a client of its own."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        named = names_of(settings)
        self._sources = {named(topic): topic for topic in topics}
        self._admin = new_admin(settings)

    def check(self, connection: Connection) -> None:
        """Notes the ids of topics that are new to us. Raises RecordsGone when one was made anew, KafkaException or TimeoutError."""
        asked = _columns(self._ids())
        connection.execute(_SQL.note_topics, asked)
        if others := [str(row[0]) for row in connection.execute(_SQL.other_topics, asked)]:
            raise RecordsGone(f"{', '.join(others)} was made anew: say where to go on with kvitt kafka begin --over")

    def renew(self, connection: Connection) -> bool:
        """Notes the ids whatever they were before; gives whether any was another. Raises KafkaException or TimeoutError."""
        asked = _columns(self._ids())
        others = connection.execute(_SQL.other_topics, asked).fetchall()
        connection.execute(_SQL.renew_topics, asked)
        return bool(others)

    def _ids(self) -> Mapping[str, str]:
        if not self._sources:
            return {}
        answers = self._admin.describe_topics(TopicCollection(list(self._sources)), request_timeout=_BROKER_SECONDS)
        return {self._sources[name]: str(answer.result(_BROKER_SECONDS).topic_id) for name, answer in answers.items()}


def _columns(ids: Mapping[str, str]) -> dict[str, list[str]]:
    return {"topics": list(ids), "ids": list(ids.values())}
