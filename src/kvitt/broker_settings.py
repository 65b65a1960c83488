"""Settings of what kvitt exchanges messages with: Kafka, the queue to the rail, and the rapid."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

_RAPID: Final = "tbd.rapid.v1"


class KafkaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the brokers are and who we are to them.

    `group` is the consumer group; the relay's transactional id follows from it, so installations that share a cluster need groups of
    their own. `instance` names this process among its group (static membership): the group then waits out `session_seconds` before it
    gives a stopped process's partitions away, and gives them back at once when it returns. `replication` is for topics that are made.
    `client` holds further settings of librdkafka, such as TLS and SASL, and `client_file` names a file of `name=value` lines with more;
    they win over ours. `rapid_topic` is what the rapid is called on this cluster.
    """

    bootstrap: str
    group: str = "kvitt"
    client_id: str = "kvitt"
    instance: str | None = None
    session_seconds: Annotated[float, Meta(gt=0)] = 6.0
    replication: Annotated[int, Meta(ge=1)] = 1
    make_topics: bool = True
    rapid_topic: str = _RAPID
    client: Mapping[str, str] = {}
    client_file: Path | None = None

    def __repr__(self) -> str:
        """Without the values of `client`, which may be secrets."""
        return f"KafkaSettings(bootstrap={self.bootstrap!r}, group={self.group!r}, client={sorted(self.client)})"

    @property
    def transactional_id(self) -> str:
        """By which the brokers know the relay, so that a new one fences the old."""
        return f"{self.group}-relay"

    @property
    def shared_topics(self) -> Mapping[str, str]:
        """Topics that other teams read and write as well, by our name for them, with their name on this cluster (rapid §1).

        Each is read from where somebody has said, never from its beginning unasked: what is old in it others have paid.
        """
        return {_RAPID: self.rapid_topic}


class QueueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The message queue to the rail: a table of our own database, a broker that speaks STOMP, or IBM MQ.

    `password_file` holds the password on its first line. For STOMP, `tls` takes the files in PEM; for IBM MQ, `cipher` with
    `key_repository` turns TLS on. A message that came back `max_redeliveries` times goes to the dead-letter queue.
    """

    kind: Literal["table", "stomp", "mq"] = "table"
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    user: str = ""
    password: str = ""
    password_file: Path | None = None
    max_redeliveries: Annotated[int, Meta(ge=1)] = 10
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    queue_manager: str = ""
    channel: str = ""
    cipher: str = ""
    key_repository: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"QueueSettings(kind={self.kind!r}, host={self.host!r}, port={self.port!r}, user={self.user!r})"


class RapidSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rapid. `answer_invalid_needs` false: needs that break rules hear nothing, as of old.

    `ours`: this hub serves the rapid, in this process or another one; then it also hears of receipts of which nobody can say whose
    they are.
    """

    answer_invalid_needs: bool = True
    ours: bool = False
