"""Feeds cases to the hub as their systems do, and keeps what is answered: a case's next message follows the answer to the one before,
except the rushed ones, which follow at once and find their case with an open order.
"""

import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import count
from pathlib import Path
from typing import Final

from msgspec import Struct

import kvitt
from kvitt.cli.ids import SHORT
from kvitt.cli.submit import FINAL, Client, PublishedStatus
from kvitt.disbursement.answers import Answer
from kvitt.formats.topics import input_partition_of
from kvitt.transports.log.embedded_log import NewRecord

_KEYS: Final = uuid.UUID("c2d6a0a4-6f8e-5a35-9f1c-0f3a7b1e9d44")
PATIENCE_SECONDS: Final = 180.0
"""How long the demo waits for the next answer, on however busy a machine, until it counts as missing."""
_OUTSTANDING: Final = 1200
_PER_APPEND: Final = 300
_LOOK_SECONDS: Final = 0.2


class Letter(Struct, frozen=True):
    """A message on its way: where to, under which key, and whether it waits for the answer to the one before."""

    topic: str
    key: bytes
    body: bytes
    rushed: bool


def key_for(case: str, number: int, behind: bytes | None = None) -> bytes:
    """A key as senders choose them: a UUID for each message, so that the messages of a case lie in any partition.

    A message that follows at once must lie in the partition of the one that it is `behind`, or nobody knows which is handled first.
    """
    keys = (str(uuid.uuid5(_KEYS, f"{case}/{number}/{salt}")).encode() for salt in count())
    return next(key for key in keys if behind is None or input_partition_of(key) == input_partition_of(behind))


class Feed:
    """Sends the letters of many cases and gathers the final answers by key; `answered` is called with how many more have been answered."""

    def __init__(self, client: Client, cases: Sequence[Sequence[Letter]], answered: Callable[[int], None]) -> None:
        self._client, self._cases, self._answered = client, cases, answered
        self._case_of = {letter.key: number for number, letters in enumerate(cases) for letter in letters}
        self._sent = [0] * len(cases)
        self._ready = deque(number for number, letters in enumerate(cases) if letters)
        self._outstanding = 0
        self.finals: dict[bytes, list[Answer]] = {key: [] for key in self._case_of}

    @property
    def unanswered(self) -> int:
        """How many letters have no final answer."""
        return sum(1 for finals in self.finals.values() if not finals)

    @property
    def surplus(self) -> int:
        """How many final answers came beyond the first of each letter."""
        return sum(len(finals) - 1 for finals in self.finals.values() if finals)

    def run(self) -> None:
        """Sends everything and returns when all of it is answered, or when nothing has been answered for a long time."""
        quiet_since = time.monotonic()
        while self._ready or self._outstanding:
            self._send()
            statuses = self._client.hear(_LOOK_SECONDS)
            if self._note(statuses):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > PATIENCE_SECONDS:
                return

    def listen(self) -> None:
        """Takes in what has been published since, to catch answers that nobody waits for."""
        while statuses := self._client.hear(0.0):
            self._note(statuses)

    def _send(self) -> None:
        batch: list[NewRecord] = []
        while self._ready and self._outstanding < _OUTSTANDING and len(batch) < _PER_APPEND:
            number = self._ready.popleft()
            letters = self._cases[number]
            going = [letters[self._sent[number]]]
            self._sent[number] += 1
            while self._sent[number] < len(letters) and letters[self._sent[number]].rushed:
                going.append(letters[self._sent[number]])
                self._sent[number] += 1
            batch += [NewRecord(letter.topic, letter.key, letter.body) for letter in going]
            self._outstanding += len(going)
        if batch:
            self._client.send(batch)

    def _note(self, statuses: Sequence[PublishedStatus]) -> int:
        """Notes final answers; a case whose last sent letter is answered may send its next. Returns how many letters were answered."""
        answered = 0
        for each in statuses:
            number = self._case_of.get(each.key)
            if number is None or each.answer.status not in FINAL:
                continue
            self.finals[each.key].append(each.answer)
            if len(self.finals[each.key]) > 1:
                continue
            answered += 1
            letters, sent = self._cases[number], self._sent[number]
            if letters[sent - 1].key == each.key and sent < len(letters):
                self._ready.append(number)
        self._outstanding -= answered
        self._answered(answered)
        return answered


class Example(Struct, frozen=True):
    """One message: the scheme's short name, the name that says what it shows, and its bytes."""

    scheme: str
    name: str
    body: bytes


def example_directory() -> Traversable:
    """Where the examples are."""
    beside = Path(kvitt.__file__).parents[2] / "examples"
    return beside if (beside / "dp").is_dir() else files("kvitt") / "examples"


def examples() -> Sequence[Example]:
    """The messages of all schemes, by scheme and name; none when they were not installed."""
    directory = example_directory()
    if not directory.is_dir():
        return ()
    found = [
        Example(scheme.name, message.name.removesuffix(".json"), message.read_bytes())
        for scheme in directory.iterdir()
        if scheme.name in SHORT
        for message in scheme.iterdir()
        if message.name.endswith(".json")
    ]
    return sorted(found, key=lambda each: (each.scheme, each.name))


def parties_example() -> str:
    """The example of a file of parties."""
    return (example_directory() / "parties.toml").read_text("utf-8")
