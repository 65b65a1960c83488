"""The contract of the case streams: thick messages per scheme, one status topic, orders and payments on topics of their own (helved §1)."""

from collections.abc import Mapping
from datetime import datetime

from kvitt.hub.desk import Desk
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.hub.voice import Asked, StatusVoice
from kvitt.rules.rail_port import Rails
from kvitt.rules.values import Scheme
from kvitt.wire import topics


class Helved:
    """The case streams of six schemes."""

    sources: Mapping[str, Scheme] = topics.SCHEME_OF_INPUT
    forwards = False
    hears_strays = False

    def __init__(self, rails: Rails) -> None:
        """`rails` are those on which orders leave."""
        self._rails = rails

    def desk(self, facts: UnitOfWork, now: datetime, *, answer_invalid: bool | None = None) -> Desk:  # noqa: ARG002 - all are answered
        """Who handles its messages."""
        return Desk(facts, now, self._rails)

    def voice(self, asked: Asked, facts: UnitOfWork, now: datetime) -> StatusVoice:
        """Who tells of one of its messages."""
        return StatusVoice(facts, asked.address, asked.answer, now, self._rails.of(asked.address.scheme))
