"""How to reach Kafka: everything about it that may differ between installations (design §11)."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct


class KafkaSettings(Struct, frozen=True, kw_only=True):
    """Where the brokers are and who we are to them.

    `group` is the consumer group; the relay's transactional id follows from it, so installations that share a cluster need groups of
    their own. `instance` names this process among its group (static membership): the group then waits out `session_seconds` before it
    gives a stopped process's partitions away, and gives them back at once when it returns. `replication` is for topics that are made.
    `client` holds further settings of librdkafka, such as TLS and SASL; they win over ours.
    """

    bootstrap: str
    group: str = "kvitt"
    client_id: str = "kvitt"
    instance: str | None = None
    session_seconds: float = 6.0
    replication: int = 1
    make_topics: bool = True
    client: Mapping[str, str] = {}

    def __repr__(self) -> str:
        """Without the values of `client`, which may be secrets."""
        return f"KafkaSettings(bootstrap={self.bootstrap!r}, group={self.group!r}, client={sorted(self.client)})"

    @property
    def transactional_id(self) -> str:
        """By which the brokers know the relay, so that a new one fences the old."""
        return f"{self.group}-relay"


def read_client_file(path: Path) -> Mapping[str, str]:
    """The `client` settings in a file of `name=value` lines; empty lines and those that begin with # say nothing.

    Raises OSError when the file can't be read, ValueError naming the line that is none.
    """
    given: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not found:
            raise ValueError(f"{path}:{number} is not name=value")
        given[name.strip()] = value.strip()
    return given
