"""The port to a message queue: put bytes, receive with acknowledgement after our own commit.

Every adapter keeps the same promises and passes the same conformance suite (design §8).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Outgoing(Struct, frozen=True):
    """A message to put: exactly these bytes, under an id that is ours, so that a repeat can be recognised."""

    message_id: str
    body: bytes
    reply_to: str = ""
    priority: int = 4


class Delivery(Struct, frozen=True):
    """A message handed out and not yet acknowledged; `redeliveries` counts earlier hand-outs of it (0 = first time)."""

    receipt: int
    message_id: str
    body: bytes
    reply_to: str
    priority: int
    redeliveries: int


class NotPut(ConnectionError):
    """The connection ended before the queue could have stored anything of a batch: for certain none of it was put."""


class Queue(Protocol):
    """One named queue. Not for sharing between threads: each consumer or producer opens its own."""

    @property
    def drops_repeats(self) -> bool:
        """Whether a message that is put again under its id, soon after, is dropped by the broker if it has it already."""

    def connect(self) -> None:
        """Connects for putting, if that is not done. Raises ConnectionError while the broker can not be reached."""

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Makes all of them durable in the queue, in order, or none.

        A message id that was put before is left alone where the broker can tell. Every method raises ConnectionError when the
        connection ends under it, and may be called again: it connects anew. NotPut says that for certain nothing was stored.
        """

    def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Hands out up to `limit` messages, waiting at most `wait_seconds` for the first.

        They stay ours until acknowledged, released, or our connection ends.
        """

    def acknowledge(self) -> None:
        """Removes everything handed out by the last `receive`. Call after the effect has committed."""

    def release(self) -> None:
        """Gives everything handed out by the last `receive` back; a message that came back too often goes to the dead-letter queue."""

    def was_put(self, message_ids: Sequence[str]) -> Mapping[str, bool] | None:
        """Which of these ids the broker knows to have been put; None when this kind of broker cannot tell."""

    def close(self) -> None:
        """Ends the connection; what was handed out and not acknowledged is redelivered."""
