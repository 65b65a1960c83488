"""Which desk handles a message and which voice tells of it: the one place that knows that there are two dialects."""

from datetime import datetime
from typing import Protocol

from kvitt.hub.case import Case
from kvitt.hub.desk import Desk
from kvitt.hub.facts import Facts
from kvitt.hub.rapid.desk import NeedDesk
from kvitt.hub.rapid.voice import NeedVoice
from kvitt.hub.taken import Address, Taken
from kvitt.hub.voice import Asked, StatusVoice, Voice
from kvitt.rules.states import MessageState
from kvitt.rules.values import Refusal, Scheme
from kvitt.store.rows import MessageRow


class AnyDesk(Protocol):
    """What a message does to its case, whatever its dialect."""

    def take(self, case: Case | None, message: Taken, record: MessageRow, reason: str | None = None) -> MessageState:
        """Handles, queues or answers a message that has just come in."""

    def wait(self, case: Case, message: Taken, record: MessageRow) -> None:
        """Queues a message behind what its case is busy with."""

    def handle(self, case: Case | None, message: Taken, record: MessageRow | None) -> MessageState:
        """Handles a message now."""

    def refuse(
        self, case: Case | None, message: Taken, record: MessageRow | None, refusal: Refusal, reason: str | None = None
    ) -> MessageState:
        """Answers a message with a refusal, for good."""


def is_forwarded(scheme: Scheme) -> bool:
    """Whether the scheme's orders are their senders' own, asked for as needs of the rapid."""
    return scheme is Scheme.SYKEPENGER


def desk_for(message: Address, facts: Facts, now: datetime, *, answer_invalid_needs: bool = True) -> AnyDesk:
    """The desk of the message's dialect."""
    return NeedDesk(facts, now, answer_invalid=answer_invalid_needs) if is_forwarded(message.scheme) else Desk(facts, now)


def voice_for(asked: Asked, facts: Facts, now: datetime) -> Voice:
    """The voice of the message's dialect."""
    if not is_forwarded(asked.address.scheme):
        return StatusVoice(facts, asked.address, asked.answer, now)
    return NeedVoice(facts, asked, now)
