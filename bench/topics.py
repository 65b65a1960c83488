"""All topics of a hub as it is where nothing is set."""

from kvitt.app.ports import PORTS
from kvitt.app.transports import EmbeddedTransport, topics_of

TOPIC_TERMS = topics_of(PORTS.contracts)
TOPICS = [terms.name for terms in TOPIC_TERMS]


def make_log(conninfo: str) -> None:
    """Makes the topics of the embedded log, as a hub does at its start."""
    EmbeddedTransport(conninfo, PORTS).prepare()
