"""Dead letters: what could not be read is looked at, mended, and sent to its topic again, once, by a named person (design §4, §11).

A replay is one transaction: the letter is closed, the operators' audit chain notes it, and the record is handed to the log.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from msgspec import Struct

from kvitt.disbursement.handle import parse
from kvitt.disbursement.inbox import Incoming, Skipped
from kvitt.disbursement.ports import Ports
from kvitt.errors import DeadLetterNotFound, NotInThatState, NotReplayable, Undecodable
from kvitt.formats import topics
from kvitt.formats.json_members import refuse_repeated
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL = load("dead", "kvitt.disbursement")
OPEN: Final = "open"


class Replayed(Struct, frozen=True):
    """A record as it shall stand on its topic; headers as the store keeps them."""

    topic: str
    key: bytes | None
    body: bytes
    headers: bytes
    at: datetime


Put = Callable[[Replayed], object]
"""Appends a record to its topic in the transaction that is open on the connection of `DeadLetters`."""


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


def _refuse_repeated(number: int, body: bytes) -> None:
    try:
        refuse_repeated(body)
    except Undecodable as broken:
        raise NotReplayable(f"dead letter {number}: in the mended body {broken}") from None
    except UnicodeDecodeError:
        raise NotReplayable(f"dead letter {number}: the mended body is not UTF-8") from None


class DeadLetters:
    """The dead letters, on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports, put: Put | None = None) -> None:
        self._connection, self._clock, self._contracts, self._put = connection, clock, ports.contracts, put

    def listed(self, *, state: str | None = OPEN, limit: int = 1000) -> Sequence[Listed]:
        """Letters in a state (None = any), newest first."""
        return fetch(self._connection, Listed, _SQL.list_dead_letters, {"state": state, "limit": limit})

    def find(self, number: int) -> DeadLetter:
        """One letter. Raises DeadLetterNotFound."""
        letter = fetch_one(self._connection, DeadLetter, _SQL.dead_letter, (number,))
        if letter is None:
            raise DeadLetterNotFound(f"there is no dead letter {number}")
        return letter

    def replay(self, number: int, operator: Operator, *, body: bytes | None = None, key: bytes | None = None) -> Replayed:
        """Sends a letter through its scheme's internal topic, or the rapid, again, `body` for its bytes; returns what was put there.

        The key stays, so that the sender gets the answer where it asked; `key` is for letters that came without a usable one. What is not
        as its sender wrote it is an operator's own order to pay, and needs two people. Raises DeadLetterNotFound, NotReplayable,
        NeedsSecondPerson, and NotInThatState for a letter that was replayed or closed before.
        """
        assert self._put is not None, "only who can put may replay"
        record, letter = self.as_replayed(number, body=body, key=key), self.find(number)
        mended = (" with a mended body" if record.body != letter.body else "") + (" under a new key" if record.key != letter.key else "")
        if mended:
            operator.need_second_person(f"a letter{mended} moves money")
        with transaction(self._connection, "dead letter", str(number)), self._connection.cursor() as cursor:
            self._end(cursor, number, "replayed", operator, record.at)
            note(cursor, record.at, "replay dead letter", operator, f"dead letter {number}{mended}")
            # Last: by now nothing that somebody else could have locked is missing, and what is on a topic can not be taken back.
            self._put(record)
        return record

    def close(self, number: int, operator: Operator) -> None:
        """Says that a letter has been dealt with and is not to be replayed; nothing is sent. Raises DeadLetterNotFound, NotInThatState."""
        with transaction(self._connection, "dead letter", str(number)), self._connection.cursor() as cursor:
            now = self._clock()
            self._end(cursor, number, "closed", operator, now)
            note(cursor, now, "close dead letter", operator, f"dead letter {number}")

    def _end(self, cursor: psycopg.Cursor[Any], number: int, state: str, operator: Operator, now: datetime) -> None:
        closing = {"dead_no": number, "state": state, "now": now, "by": operator.name, "note": operator.reason}
        if fetch_value(cursor, _SQL.close_dead_letter, closing) is None:
            letter = self.find(number)
            raise NotInThatState(f"dead letter {number} was {letter.state} by {letter.closed_by}: {letter.note}")

    def as_replayed(self, number: int, *, body: bytes | None = None, key: bytes | None = None) -> Replayed:
        """The record that a replay would put on the topic; changes nothing. Raises DeadLetterNotFound, NotReplayable."""
        letter = self.find(number)
        if body is not None:
            _refuse_repeated(number, body)
        content = letter.body if body is None else body
        asked_under = letter.key if key is None else key
        found = parse(self._contracts, Incoming(letter.source, letter.partition, letter.position, asked_under, content))
        if isinstance(found, Skipped) and found.unaddressed:
            raise NotReplayable(f"dead letter {number}: {found.reason}; name a key to replay it under")
        headers = letter.headers or topics.encode_headers(())
        topic = self._contracts.of[letter.source].replays_on(letter.source)
        if topic is None:
            raise NotReplayable(f"dead letter {number} came in by a call to {letter.source}; whoever called may call again")
        return Replayed(topic, asked_under, content, headers, self._clock())
