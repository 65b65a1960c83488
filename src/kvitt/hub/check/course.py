"""The course of one message in a replay: how it reads, and what should have become of it so far."""

from datetime import datetime

from kvitt.hub.taken import Incoming, Reading, Taken, read
from kvitt.hub.voice import Asked, Forwarded
from kvitt.rules.editions import Edition
from kvitt.rules.states import MessageState
from kvitt.store.rows import MessageRow, MessageStep


class Course:
    """A stored message, read again, and the row that its handling gives. `trusted` ends when its handling could not be repeated."""

    def __init__(self, stored: MessageRow) -> None:
        self.stored = stored
        self.reading = read_again(stored)
        self.taken = taken_again(stored, self.reading)
        self.state = MessageState.RECEIVED
        self.derived_at: datetime | None = None
        self.answered_at: datetime | None = None
        self.answer: bytes | None = None
        self.open_orders: set[str] = set()
        self.order_ids: list[str] = []
        self.trusted = True

    def step(self, step: MessageStep) -> None:
        """Takes a step as the store does: what the step leaves out stays."""
        self.state = MessageState(step.state)
        self.derived_at = step.derived_at or self.derived_at
        self.answered_at = step.answered_at or self.answered_at
        self.answer = step.answer or self.answer

    def asked(self, order: Forwarded | None) -> Asked:
        """The message as whoever tells of it takes it, with the answer so far; `order` is that of a need."""
        stored = self.stored
        address = (stored.message_no, stored.source, stored.partition, stored.position, stored.key, stored.headers, stored.scheme)
        asked = Asked((*address, None, self.answer or b"", stored.case_no, stored.body, stored.received_at, stored.received_at))
        asked.order = order
        return asked


def read_again(stored: MessageRow) -> Reading:
    """The stored bytes, read as they were when they came in."""
    return read(
        Incoming(stored.source, stored.partition, stored.position, stored.key, stored.body, stored.headers, edition=Edition(stored.edition))
    )


def taken_again(stored: MessageRow, reading: Reading) -> Taken:
    """The stored message as the desk takes it."""
    return Taken(
        stored.message_no,
        stored.source,
        stored.partition,
        stored.position,
        stored.key,
        stored.headers,
        reading.scheme,
        stored.body,
        reading.claims,
        reading.dry_run,
        stored.received_at,
    )
