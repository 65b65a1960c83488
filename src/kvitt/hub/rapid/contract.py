"""The contract of the rapid: needs with lines of their senders' own, answered where they stand (rapid §2)."""

from collections.abc import Mapping
from datetime import datetime

from kvitt.hub.rapid.desk import NeedDesk
from kvitt.hub.rapid.voice import NeedVoice
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.hub.voice import Asked
from kvitt.rules.rail_port import Rails
from kvitt.rules.values import Scheme
from kvitt.wire import topics


class Rapid:
    """Needs for sykepenger."""

    sources: Mapping[str, Scheme] = {topics.RAPID: Scheme.SYKEPENGER}
    forwards = True

    def __init__(self, rails: Rails, *, answer_invalid: bool = True, hears_strays: bool = False) -> None:
        """`rails` are those on which orders leave.

        `answer_invalid` False: needs that break rules are stored and hear nothing, as of old (design §12). `hears_strays`: the rapid is
        ours, so it also hears of receipts of which nobody can say whose they are.
        """
        self._rails, self._answer_invalid, self.hears_strays = rails, answer_invalid, hears_strays

    def desk(self, facts: UnitOfWork, now: datetime, *, answer_invalid: bool | None = None) -> NeedDesk:
        """Who handles its messages."""
        return NeedDesk(facts, now, self._rails, answer_invalid=self._answer_invalid if answer_invalid is None else answer_invalid)

    def voice(self, asked: Asked, facts: UnitOfWork, now: datetime) -> NeedVoice:
        """Who tells of one of its messages."""
        return NeedVoice(facts, asked, now)
