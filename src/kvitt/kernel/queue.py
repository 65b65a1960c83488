"""The port to a message queue: put bytes, receive with acknowledgement after our own commit.

Every adapter keeps the same promises and passes the same conformance suite (design §8).
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

HANDED_OUT_BYTES: Final = 16 << 20
"""Once messages have so many bytes no more are handed out with them: they are worked through in one transaction, which has an end."""


def queue_id(message_id: str, resend: int) -> str:
    """The id that a queue knows a message by: its own, or for a deliberate resend its own and which resend it is."""
    return f"{message_id}/{resend}" if resend else message_id


class Outgoing(Struct, frozen=True):
    """A message to put: exactly these bytes, under an id that is ours, so that a repeat can be recognised.

    `resend` counts the times that somebody has decided to send the same message once more (0 = never). Each of them is a message of
    its own to the queue; who merely is not sure whether a put came through puts again with the same count.
    """

    message_id: str
    body: bytes
    reply_to: str = ""
    priority: int = 4
    resend: int = 0

    @property
    def queue_id(self) -> str:
        """The id that the queue knows it by, and that its consumers see."""
        return queue_id(self.message_id, self.resend)


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
        """Whether a message that is put again under its queue id, soon after, is dropped by the broker if it has it already."""

    def connect(self) -> None:
        """Connects for putting, if that is not done. Raises ConnectionError while the broker can not be reached."""

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Makes all of them durable in the queue, in order, or none.

        A queue id that was put before is left alone where the broker can tell; a deliberate resend has one of its own. Every method
        raises ConnectionError when the connection ends under it, and may be called again: it connects anew. NotPut says that for certain
        nothing was stored.
        """

    def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Hands out up to `limit` messages, no more once they have HANDED_OUT_BYTES, waiting at most `wait_seconds` for the first.

        They stay ours until acknowledged, released, or our connection ends.
        """

    def acknowledge(self) -> None:
        """Removes everything handed out by the last `receive`. Call after the effect has committed."""

    def release(self) -> None:
        """Gives everything handed out by the last `receive` back; a message that came back too often goes to the dead-letter queue."""

    def was_put(self, queue_ids: Sequence[str]) -> Mapping[str, bool] | None:
        """Which of these ids the broker knows to have been put; None when this kind of broker cannot tell."""

    def close(self) -> None:
        """Ends the connection; what was handed out and not acknowledged is redelivered."""
