"""The port Rail: how money leaves, as the core sees it (design §3). `docs/rail-port.md` tells how to write one.

A rail turns orders into bytes and reads what comes back as observations: facts about one order each, in the core's words, with the rail's
own beside them. What the rail's words mean is the rail's to say; what becomes of an order by them is the core's to decide.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from msgspec import Struct

from kvitt.disbursement.cancel.request import CancellationRequest
from kvitt.disbursement.catalogue import SCHEMES
from kvitt.disbursement.reconciliation import ActiveCase, ConsistencyRun, ConsistencyTotal, InterfaceRun, ReportedOrder
from kvitt.disbursement.simulation import SimulationOutcome
from kvitt.disbursement.simulation_check import CheckPolicy
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Order, Scheme
from kvitt.errors import UnknownRail
from kvitt.kernel.identifiers import named_uuid

_FILES = UUID("0c6f2a0e-5d0b-5c3e-9f55-3b0f4a1f6d92").bytes


class Capabilities(Struct, frozen=True):
    """Abilities of a rail. `chains`: it keeps lines of which one holds on any day; else it pays single transfers.

    `simulates`: it can be asked what it would do, and is a `SimulatingRail`.

    `reconciles`: it compares what is reported to it with its own books, and is a `ReconcilingRail`.

    `cancels`: it can be asked to cancel an order that it may have, and is a `CancellingRail`.

    `answers_duplicates`: it refuses what it has already, and says so; else a copy might be paid twice.

    `answers_parts`: its answers speak of parts of an order (single transfers), each by itself; it decides by what it said of the others.
    """

    chains: bool = False
    simulates: bool = False
    reconciles: bool = False
    cancels: bool = False
    answers_duplicates: bool = False
    answers_parts: bool = False


class Severity(StrEnum):
    """How an answer ends for its order, whatever codes the rail has for it; UNKNOWN stands for a missing or unheard-of one (design §12)."""

    OK = "ok"
    WARNING = "warning"
    REJECTED = "rejected"
    TECHNICAL = "technical"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Reasons in words of a rail's own that the core or a contract acts upon."""

    NOTHING_TO_CHANGE = "nothing to change"
    """It has no order that this one could change."""
    ORDER_EXISTS = "order exists"
    LINE_EXISTS = "line exists"
    CANCELLED = "cancelled"
    """It answers a request to cancel (`CancellingRail`): the order, or the part of it, is cancelled."""
    NOT_CANCELLED = "not cancelled"
    """It answers a request to cancel: the order stays as it is, and the rail's word decides nothing else."""


COPY_REASONS = frozenset({Reason.ORDER_EXISTS, Reason.LINE_EXISTS})
"""With these a rail answers a copy of what it has."""


class ReceiptOutcome(StrEnum):
    """Outcomes of an observation; the values stand in the store.

    A rail itself says one of the first seven. NOTED is said on the way: it is kept, and changes nothing, whatever state its order has.
    SETTLED, RETURNED and CANCELLED may come after ACCEPTED: they are kept, and change no order.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    NOTED = "noted"
    REPEAT = "repeat"
    CONTRADICTS = "contradicts"
    UNMATCHED = "unmatched"
    UNREADABLE = "unreadable"
    DEFERRED = "deferred"
    """Kept until its case is free; no outcome in the store."""


class Encoded(Struct, frozen=True):
    """An order as it leaves over a rail. `message` are its bytes for ever.

    The rail's answer carries what `correlation_key` (a digest) and `correlation_time` are made of, so that it finds the order. `document`
    is JSON: what the rail wants to know of the order later without reading the message again.
    """

    rail: str
    message: bytes
    correlation_key: bytes
    correlation_time: str
    document: str = "{}"


class Observation(Struct, frozen=True):
    """One thing that one answer says of one order. `case`, `area` and `correlation_key` name it, or `order_id` alone does.

    `severity` is in the core's words, `raw_severity`, `code` and `text` as they came (trimmed, maybe empty); `others` is what else the rail
    said about its answer, as (name, text).
    """

    case: tuple[Scheme, str] | None
    area: str
    correlation_key: bytes
    correlation_time: str
    severity: Severity
    raw_severity: str
    code: str = ""
    text: str = ""
    reasons: frozenset[Reason] = frozenset()
    others: tuple[tuple[str, str], ...] = ()
    order_id: str | None = None
    part: str = ""
    """Which part of the order it is about, by the rail's own name (a transfer); empty: all of it."""

    @property
    def answers_copy(self) -> bool:
        """Whether it refuses a copy, because the rail has the order or a line of it already."""
        return not COPY_REASONS.isdisjoint(self.reasons)


class Candidate(Struct, frozen=True):
    """An order that an observation may be about, as it is stored."""

    order_id: str
    case_no: int
    area: str
    number: int
    message_no: int
    state: OrderState
    correlation_time: str
    is_first_order: bool
    message: bytes
    person: str
    was_unknown: bool = False
    """A copy of it may be at the rail, whatever its state is now."""
    answered: bool = False
    """An observation that was unclear has been published already."""
    published_under: bytes | None = None
    """The key of its records on the order topic; None: its sender's."""
    contradicted: str | None = None
    """What the rail last said against what stands, as long as that is open or two people kept what stands."""
    decided_by_hand: bool = False
    """Its state is an operator's word: the rail's receipt has not come."""
    said: tuple[Observation, ...] = ()
    """What was said of it before, oldest first, where the answers of its rail speak of parts (`Capabilities.answers_parts`)."""

    @property
    def may_have_copies(self) -> bool:
        """Whether it may have reached the rail more than once."""
        return self.was_unknown or self.state is OrderState.UNKNOWN

    @property
    def is_settled(self) -> bool:
        """Whether it waits for no answer any more."""
        return self.state in _CLOSED


_CLOSED = frozenset({OrderState.ACCEPTED, OrderState.REJECTED, OrderState.WITHDRAWN})


class OrderToSend(Struct, frozen=True):
    """An order that a sender holds in state `sending`, with the stored bytes; `resend` counts how often operators had it sent again.

    `key_day` is the day under whose key it leaves, where that is not the day on which it was made.
    """

    order_id: str
    message: bytes
    message_no: int
    number: int
    priority: int
    resend: int
    key_day: date | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and the number of its message, which is locked with it."""
        return self.order_id, self.message_no


class TransportFile(Struct, frozen=True):
    """One message for the queue: one order or several, under an id that the same orders always get."""

    file_id: str
    message: bytes
    orders: Sequence[OrderToSend]

    @classmethod
    def of(cls, orders: Sequence[OrderToSend], message: bytes) -> "TransportFile":
        """The file of these orders; one alone is its own. Only a file of one order may be a resend."""
        assert len(orders) == 1 or not any(each.resend for each in orders), "a resend leaves alone"
        alone = len(orders) == 1
        file_id = orders[0].order_id if alone else named_uuid(_FILES, "\0".join(each.order_id for each in orders))
        return cls(file_id, message, orders)

    @property
    def priority(self) -> int:
        """The highest of its orders'."""
        return max(each.priority for each in self.orders)

    @property
    def resend(self) -> int:
        """Which resend it is; 0 = none."""
        return self.orders[0].resend


class Schedule(Protocol):
    """When a rail answers."""

    def is_open(self, moment: datetime) -> bool:
        """Whether it answers at this moment (which has a time zone)."""

    def open_time_ago(self, now: datetime, amount: timedelta) -> datetime:
        """The latest moment from which on to `now` at least `amount` (> 0) of open time has passed."""


class Rail(Protocol):
    """A way for money to leave. All methods are pure: the same content has the same bytes, the clock is in the order."""

    @property
    def name(self) -> str:
        """Returns what it is called in the store, in settings and in commands."""

    @property
    def capabilities(self) -> Capabilities:
        """Returns what it can do."""

    @property
    def schedule(self) -> Schedule:
        """When it answers."""

    def encode(self, order: Order) -> Encoded:
        """The order as it leaves. Raises InvalidOrderMessage or ValueError when the rail has no form for it."""

    def validate(self, made: Sequence[tuple[Order, Encoded]]) -> None:
        """Looks whether the rail takes orders as they are to leave, many at once. Raises InvalidOrderMessage."""

    def files_of(self, orders: Sequence[OrderToSend]) -> Sequence[TransportFile]:
        """The orders as the transport messages that they leave in, together with those that may share one; a resend leaves alone."""

    def read(self, answer: bytes) -> Sequence[Observation]:
        """Returns what an answer says, of each order that it is about. Raises UnreadableReceipt."""

    def match(self, observation: Observation, candidates: Sequence[Candidate]) -> Candidate | None:
        """The order that an observation is about, among those with its correlation key, oldest first; None without candidates."""

    def decide(self, observation: Observation, order: Candidate) -> ReceiptOutcome:
        """Returns what an observation says by itself of this order: ACCEPTED, REJECTED, UNCLEAR, SETTLED, RETURNED, CANCELLED or NOTED."""

    def with_acknowledgement(self, message: bytes, observation: Observation) -> bytes:
        """An order's bytes with what the rail said of it, as an answer of the rail would show them; `read` finds the observation again."""

    def words_of_operator(self, message: bytes, *, accepted: bool, text: str) -> bytes:
        """An operator's decision about an order in the form of an answer of the rail."""


@runtime_checkable
class SimulatingRail(Rail, Protocol):
    """A rail that can be asked what it would do."""

    def encode_simulation(self, order: Order) -> bytes:
        """The same order as a question. Raises TooManyToSimulate, InvalidOrderMessage or ValueError when the rail has no form for it."""

    def read_simulation(self, status: int, answer: bytes) -> SimulationOutcome:
        """The outcome that its answer is, which came with this HTTP status. Raises nothing, whatever the bytes are."""


@runtime_checkable
class ReconcilingRail(Rail, Protocol):
    """A rail to which orders are reported, and which compares them with its own books (`Capabilities.reconciles`)."""

    @property
    def warned_by(self) -> Sequence[str]:
        """The severities, in the rail's own words, of an answer that accepts with a note."""

    def encode_interface(self, run: InterfaceRun, details: Iterable[ReportedOrder]) -> Iterator[bytes]:
        """The messages of a run, in their order. `details` are its orders that are not simply accepted, read once, as they come."""

    def encode_consistency(
        self, run: ConsistencyRun, cases: Iterable[ActiveCase], *, starts: bool = True, ends: bool = True, before: ConsistencyTotal
    ) -> Iterator[bytes]:
        """The messages of a part of a run, in their order, a message per case. `cases` are read once, as they come.

        `starts` and `ends`: whether it is the first and the last part. The last one has the total, of which `before` were in earlier
        parts.
        """

    def day_key(self, day: date) -> tuple[str, str]:
        """The keys, as messages have them, between which the orders of a day lie."""

    def under_day(self, message: bytes, day: date) -> bytes:
        """The message of an order with the key of another day; all else is as it was."""


@runtime_checkable
class CancellingRail(Rail, Protocol):
    """A rail that can be asked to cancel an order that has left. What it answers is read, matched and decided as all its answers."""

    def encode_cancellation(self, request: CancellationRequest) -> bytes:
        """The request as it leaves. Raises InvalidOrderMessage when the rail has no form for it."""


class _ByScheme(dict[Scheme, Rail]):
    def __init__(self, rails: Mapping[str, Rail], names: Mapping[Scheme, str]) -> None:
        super().__init__({scheme: rails[name] for scheme, name in names.items() if name in rails})
        self._names = names

    def __missing__(self, scheme: Scheme) -> Rail:
        raise UnknownRail(self._names[scheme])


class Rails:
    """All rails of a hub, by name; the first is where orders leave that were made before there were others."""

    def __init__(
        self, *rails: Rail, of_scheme: Mapping[Scheme, str] | None = None, checks: Mapping[Scheme, CheckPolicy] | None = None
    ) -> None:
        """`of_scheme` names the rail of schemes that leave on another one than the catalogue says.

        `checks` says how orders of schemes are checked before they leave; of others they are not.
        """
        assert rails, "a hub has a rail"
        self._by_name = {rail.name: rail for rail in rails}
        assert len(self._by_name) == len(rails), "two rails have one name"
        for rail in rails:
            assert rail.capabilities.simulates == isinstance(rail, SimulatingRail), f"{rail.name} simulates, or does not"
            assert rail.capabilities.reconciles == isinstance(rail, ReconcilingRail), f"{rail.name} reconciles, or does not"
            assert rail.capabilities.cancels == isinstance(rail, CancellingRail), f"{rail.name} cancels, or does not"
        self.of = _ByScheme(self._by_name, {scheme: terms.rail for scheme, terms in SCHEMES.items()} | {**(of_scheme or {})})
        """The rail on which the orders of a scheme leave; raises UnknownRail where it is none of these."""
        self._simulating = {rail.name: rail for rail in rails if isinstance(rail, SimulatingRail)}
        self._reconciling = {rail.name: rail for rail in rails if isinstance(rail, ReconcilingRail)}
        self.cancelling = {rail.name: rail for rail in rails if isinstance(rail, CancellingRail)}
        """The rails that can be asked to cancel an order, by name."""
        self.default = rails[0]
        self.checks: Mapping[Scheme, CheckPolicy] = checks or {}

    def __iter__(self) -> Iterator[Rail]:
        return iter(self._by_name.values())

    def checking(self, checks: Mapping[Scheme, CheckPolicy]) -> "Rails":
        """The same rails, with these checks."""
        if checks == self.checks:
            return self
        other = copy.copy(self)
        other.checks = checks
        return other

    def leaving(self, name: str, message: bytes, key_day: date | None) -> bytes:
        """The message of an order as it leaves on the rail of that name: under the key of another day, if it has one."""
        rail = self._reconciling.get(name)
        return message if rail is None or key_day is None else rail.under_day(message, key_day)

    def named(self, name: str) -> Rail:
        """The rail of that name. Raises UnknownRail."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownRail(name) from None

    def reconciling(self, scheme: Scheme) -> ReconcilingRail | None:
        """The rail of a scheme, if orders are reported to it. Raises UnknownRail."""
        return self._reconciling.get(self.of[scheme].name)

    def simulating(self, scheme: Scheme) -> SimulatingRail | None:
        """The rail of a scheme, if it can be asked what it would do. Raises UnknownRail."""
        return self._simulating.get(self.of[scheme].name)
