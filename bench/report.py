"""What a benchmark says: one figure per line, with the settings under which it was measured and the target it is held to."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from bench.spent import Spent


class Durability(Struct, frozen=True):
    """The settings that decide what survives a crash, as the server itself tells them."""

    fsync: str
    synchronous_commit: str
    full_page_writes: str


class BrokerDurability(Struct, frozen=True):
    """The same of the brokers. A Kafka whose flush settings are at their largest leaves it to the system and to its replicas."""

    kafka_acks: str
    kafka_replicas: int
    kafka_flush_messages: str
    kafka_flush_ms: str
    artemis_journal: str
    artemis_journal_datasync: str


class Target(Struct, frozen=True):
    """What a figure is held to: at least `least`, or at most `most`."""

    least: float | None = None
    most: float | None = None

    def met_by(self, value: float) -> bool:
        """Whether the figure is good enough."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


class Figure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of output. `on` says how many rows or messages it is about; `ratio` is against the baseline named beside it.

    `spent` is what all rounds together used up, for what the value counts.
    """

    name: str
    value: float
    unit: str
    on: str
    ratio: float | None = None
    baseline: str | None = None
    samples: Sequence[float] = ()
    target: Target | None = None
    met: bool | None = None
    spent: Spent | None = None
    durability: Durability | None = None
    brokers: BrokerDurability | None = None


REPORTED: Final[list[Figure]] = []
"""All figures of this run so far."""


def report(figure: Figure) -> Figure:
    """Prints the figure as one line of JSON, with its target judged, keeps it in REPORTED, and gives it back."""
    judged = msgspec.structs.replace(figure, met=None if figure.target is None else figure.target.met_by(figure.value))
    print(msgspec.json.encode(judged).decode(), flush=True)
    REPORTED.append(judged)
    return judged


def rounded(value: float) -> float:
    """To three significant digits: the rest is noise."""
    return float(f"{value:.3g}") if abs(value) < 100 else float(round(value))
