"""The port Rail: how money leaves, as the core sees it (design §3). `docs/rail-port.md` tells how to write one.

A rail turns orders into bytes and reads what comes back as observations: facts about one order each, in the core's words, with the rail's
own beside them. What the rail's words mean is the rail's to say; what becomes of an order by them is the core's to decide.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from kvitt.errors import UnknownRail
from kvitt.rules.catalogue import SCHEMES
from kvitt.rules.states import OrderState
from kvitt.rules.values import Order, Scheme


class Capabilities(Struct, frozen=True):
    """What a rail can do. `chains`: it keeps lines of which one holds on any day; else it pays single transfers.

    `answers_duplicates`: it refuses what it has already, and says so; else a copy might be paid twice.
    """

    chains: bool = False
    simulates: bool = False
    reconciles: bool = False
    cancels: bool = False
    answers_duplicates: bool = False


class Severity(StrEnum):
    """How an answer ends for its order, whatever codes the rail has for it; UNKNOWN stands for a missing or unheard-of one (design §12)."""

    OK = "ok"
    WARNING = "warning"
    REJECTED = "rejected"
    TECHNICAL = "technical"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """What a rail says in words of its own, and the core or a contract acts upon."""

    NOTHING_TO_CHANGE = "nothing to change"
    """It has no order that this one could change."""
    ORDER_EXISTS = "order exists"
    LINE_EXISTS = "line exists"


COPY_REASONS = frozenset({Reason.ORDER_EXISTS, Reason.LINE_EXISTS})
"""With these a rail answers a copy of what it has."""


class ReceiptOutcome(StrEnum):
    """What an observation turned out to be; the values stand in the store.

    A rail itself says one of the first six. SETTLED, RETURNED and CANCELLED may come after ACCEPTED: they are kept, and change no order.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    REPEAT = "repeat"
    CONTRADICTS = "contradicts"
    UNMATCHED = "unmatched"
    UNREADABLE = "unreadable"
    DEFERRED = "deferred"
    """Kept until its case is free; no outcome in the store."""


class Encoded(Struct, frozen=True):
    """An order as it leaves. `message` are its bytes for ever.

    The rail's answer carries what `correlation_key` (a digest) and `correlation_time` are made of, so that it finds the order.
    """

    message: bytes
    correlation_key: bytes
    correlation_time: str


class Observation(Struct, frozen=True):
    """One thing that one answer says of one order. Of `case` and `area` nothing is told where the rail does not say whose it is.

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
    """An observation that was unclear has been told already."""
    told_under: bytes | None = None
    """The key of its records on the order topic; None: its sender's."""
    contradicted: str | None = None
    """What the rail last said against what stands, as long as that is open or two people kept what stands."""
    decided_by_hand: bool = False
    """Its state is an operator's word: the rail's receipt has not come."""

    @property
    def may_have_copies(self) -> bool:
        """Whether it may have reached the rail more than once."""
        return self.was_unknown or self.state is OrderState.UNKNOWN

    @property
    def is_settled(self) -> bool:
        """Whether it waits for no answer any more."""
        return self.state in _CLOSED


_CLOSED = frozenset({OrderState.ACCEPTED, OrderState.REJECTED, OrderState.WITHDRAWN})


class Schedule(Protocol):
    """When a rail answers."""

    def is_open(self, moment: datetime) -> bool:
        """Whether it answers at this moment (which has a time zone)."""

    def open_time_ago(self, now: datetime, amount: timedelta) -> datetime:
        """The latest moment from which on to `now` at least `amount` (> 0) of open time has passed."""


class Rail(Protocol):
    """A way for money to leave. All methods are pure: the same content gives the same bytes, the clock is in the order."""

    @property
    def name(self) -> str:
        """What it is called in the store, in settings and in commands."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def schedule(self) -> Schedule:
        """When it answers."""

    def encode(self, order: Order) -> Encoded:
        """The order as it leaves. Raises InvalidOrderMessage or ValueError when the rail has no form for it."""

    def encode_simulation(self, order: Order) -> bytes:
        """The same order as a question what it would do; asked only of a rail that simulates."""

    def read(self, answer: bytes) -> Sequence[Observation]:
        """What an answer says, of each order that it is about. Raises UnreadableReceipt."""

    def match(self, observation: Observation, candidates: Sequence[Candidate]) -> Candidate | None:
        """The order that an observation is about, among those with its correlation key, oldest first; None without candidates."""

    def decide(self, observation: Observation, order: Candidate) -> ReceiptOutcome:
        """What an observation says by itself of this order: ACCEPTED, REJECTED, UNCLEAR, SETTLED, RETURNED or CANCELLED."""

    def with_acknowledgement(self, message: bytes, observation: Observation) -> bytes:
        """An order's bytes with what the rail said of it, as an answer of the rail would show them; `read` gives the observation again."""

    def words_of_operator(self, message: bytes, *, accepted: bool, text: str) -> bytes:
        """An operator's decision about an order in the form of an answer of the rail."""


_rails: dict[str, Rail] = {}
_of_scheme: dict[Scheme, str] = {}


def plug_in(*rails: Rail) -> None:
    """Makes rails known by their names; one of the same name is replaced. Called where concrete parts are wired together."""
    _rails.update({rail.name: rail for rail in rails})


@contextmanager
def plugged_in(rail: Rail, schemes: Sequence[Scheme] = ()) -> Iterator[None]:
    """A rail for as long as the block runs, on which the orders of these schemes leave."""
    before, before_schemes = dict(_rails), dict(_of_scheme)
    plug_in(rail)
    _of_scheme.update(dict.fromkeys(schemes, rail.name))
    try:
        yield
    finally:
        _restore(_rails, before)
        _restore(_of_scheme, before_schemes)


def _restore(now: dict[Any, str] | dict[Any, Rail], before: Mapping[Any, Any]) -> None:
    now.clear()
    now.update(before)


def rail_named(name: str) -> Rail:
    """The rail of that name. Raises UnknownRail when none was plugged in under it."""
    try:
        return _rails[name]
    except KeyError:
        raise UnknownRail(name) from None


def rail_of(scheme: Scheme) -> Rail:
    """The rail on which the orders of a scheme leave. Raises UnknownRail."""
    return rail_named(_of_scheme.get(scheme, SCHEMES[scheme].rail))


def all_rails() -> Sequence[Rail]:
    """Every rail that was plugged in, the default one first."""
    return tuple(_rails.values())


def default_rail() -> Rail:
    """The rail that was plugged in first. Raises UnknownRail when there is none."""
    return next(iter(_rails.values()), None) or rail_named("")
