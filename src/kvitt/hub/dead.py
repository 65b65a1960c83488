"""Dead letters: what could not be read is looked at, mended and sent through the scheme's topic again, once, by a named person (design §4, §11).

A replay is a row of the outbox, written in the transaction that closes the letter and notes it in the operators' audit chain; the relay
takes it from there to the topic like everything else that is told.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from msgspec import Struct

from kvitt.errors import KvittError, NotInThatState
from kvitt.hub.operate import Operator, note
from kvitt.hub.submit import Clock, Connection
from kvitt.hub.taken import Incoming, unaddressed
from kvitt.rules.values import Scheme
from kvitt.store.queries import load
from kvitt.store.rows import OutboxRow, write
from kvitt.wire import topics

_SQL = load("dead")
_EVENTS: Final = uuid.UUID("3d6a4a8e-2f0b-5c58-9a57-3a0f1d1c7b90")
OPEN: Final = "open"


class DeadLetterNotFound(KvittError):
    """No dead letter has this number."""

    code: ClassVar[str] = "dead_letter_not_found"
    status: ClassVar[int] = 404
    who: ClassVar[str] = "operator"
    doc: ClassVar[str] = "errors#dead-letter-not-found"


class NotReplayable(KvittError):
    """The dead letter can not be replayed as it is; the message says what it lacks."""

    code: ClassVar[str] = "not_replayable"
    status: ClassVar[int] = 409
    who: ClassVar[str] = "operator"
    doc: ClassVar[str] = "errors#not-replayable"


class Listed(Struct, frozen=True):
    """A dead letter without its bytes; `size` is their number."""

    number: int
    source: str
    partition: int
    position: int
    key: bytes | None
    size: int
    reason: str
    message_no: int | None
    at: datetime
    state: str
    closed_at: datetime | None
    closed_by: str | None
    note: str | None


class DeadLetter(Struct, frozen=True):
    """A dead letter with its bytes as they came."""

    number: int
    source: str
    partition: int
    position: int
    key: bytes | None
    body: bytes
    headers: bytes | None
    reason: str
    message_no: int | None
    at: datetime
    state: str
    closed_at: datetime | None
    closed_by: str | None
    note: str | None

    @property
    def scheme(self) -> Scheme:
        """The scheme whose topic it came in on."""
        return topics.SCHEME_OF_INPUT[self.source]


class DeadLetters:
    """The dead letters, on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock

    def listed(self, *, state: str | None = OPEN, limit: int = 1000) -> Sequence[Listed]:
        """Letters in a state (None = any), oldest first."""
        return [Listed(*row) for row in self._connection.execute(_SQL.list_dead_letters, {"state": state, "limit": limit}, binary=True)]

    def find(self, number: int) -> DeadLetter:
        """One letter. Raises DeadLetterNotFound."""
        row = self._connection.execute(_SQL.dead_letter, (number,), binary=True).fetchone()
        if row is None:
            raise DeadLetterNotFound(f"there is no dead letter {number}")
        return DeadLetter(*row)

    def replay(self, number: int, operator: Operator, *, body: bytes | None = None, key: bytes | None = None) -> str:
        """Sends a letter through its scheme's internal topic again, `body` instead of its own bytes when given; gives the topic.

        The key stays, so that the sender gets the answer where it asked; `key` is for letters that came without a usable one. Raises
        DeadLetterNotFound, NotReplayable, and NotInThatState for a letter that was replayed before.
        """
        letter = self.find(number)
        content = letter.body if body is None else body
        answered_under = key if key is not None else letter.key
        if problem := unaddressed(Incoming(letter.source, letter.partition, letter.position, answered_under, content)):
            raise NotReplayable(f"{problem}; name a key to replay it under")
        assert answered_under is not None, "checked just above"
        topic = topics.INTERNAL_INPUTS[letter.scheme]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            now = self._clock()
            closing = {"dead_no": number, "now": now, "by": operator.name, "note": operator.reason}
            if cursor.execute(_SQL.close_dead_letter, closing).fetchone() is None:
                raise NotInThatState(f"dead letter {number} has been replayed before")
            event = str(uuid.uuid5(_EVENTS, f"dead letter {number}"))
            headers = letter.headers or topics.encode_headers(())
            write(cursor, [OutboxRow(topic, answered_under, content, headers, event, letter.message_no, None, now)])
            changed = "" if body is None else " with a mended body"
            note(cursor, now, "replay dead letter", operator, f"dead letter {number}{changed}")
        return topic
