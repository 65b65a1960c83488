"""The port Contract: how the senders of some topics talk to the hub; and the registry by which a record finds its own (design §3).

The core knows no contract by name. Each is one object that `app/` makes, and that names its topics; whatever may differ between senders
is asked of it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol

from kvitt.errors import UnknownSource
from kvitt.hub.case import Case
from kvitt.hub.taken import Taken
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.hub.voice import Asked, Voice
from kvitt.rules.states import MessageState
from kvitt.rules.values import Refusal, Scheme
from kvitt.store.rows import MessageRow


class AnyDesk(Protocol):
    """What a message does to its case, whatever its contract."""

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


class Contract(Protocol):
    """What the hub asks of a contract. `sources` are its topics, with the scheme of all that stands on each.

    `forwards`: the senders make the order lines themselves, and the hub passes them on as they are. `hears_strays`: its readers also hear
    of receipts of which nobody can say whose they are.
    """

    @property
    def sources(self) -> Mapping[str, Scheme]: ...

    @property
    def forwards(self) -> bool: ...

    @property
    def hears_strays(self) -> bool: ...

    def desk(self, facts: UnitOfWork, now: datetime, *, answer_invalid: bool | None = None) -> AnyDesk:
        """Who handles its messages; `answer_invalid` overrides what is set about needs that break the rules of their form."""

    def voice(self, asked: Asked, facts: UnitOfWork, now: datetime) -> Voice:
        """Who tells of one of its messages."""


class Contracts:
    """All contracts of a hub. No two of them share a topic."""

    def __init__(self, *contracts: Contract) -> None:
        self._contracts = contracts
        self._by_source = {source: contract for contract in contracts for source in contract.sources}
        self._by_scheme = {scheme: contract for contract in reversed(contracts) for scheme in contract.sources.values()}
        assert len(self._by_source) == sum(len(contract.sources) for contract in contracts), "two contracts share a topic"

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._contracts)

    def of(self, source: str) -> Contract:
        """The contract of what came in on a topic. Raises UnknownSource."""
        try:
            return self._by_source[source]
        except KeyError:
            raise UnknownSource(source) from None

    def forwards(self, scheme: Scheme) -> bool:
        """Whether the orders of a scheme are their senders' own."""
        return scheme in self._by_scheme and self._by_scheme[scheme].forwards
