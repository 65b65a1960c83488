"""Runs as they are stored: what was reported of which range, in how many messages, and how far these have come (design §15)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.reconciliation import Bucket, BucketTotal, InterfaceRun, ReconciliationForm, ReconciliationKind
from kvitt.disbursement.values import Area
from kvitt.errors import NotFound
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_values
from kvitt.kernel.identifiers import named_uuid
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load

_SQL: Final = load("reconcile", "kvitt.disbursement")
_RUNS: Final = bytes.fromhex("5b0fd7f4a1c95c1c8d5b3a6e0d3c7f21")

_BODIES_AT_ONCE: Final = 500


class RunState(StrEnum):
    """States of a run; the values stand in the store."""

    MAKING = "making"
    """Not all of it is made; nothing of it leaves."""
    MADE = "made"
    GOOD = "good"
    """All its messages are put."""
    EMPTY = "empty"
    """There was nothing to report."""
    REPLACED = "replaced"
    """An operator has had the same range reported once more."""
    DROPPED = "dropped"
    """It was never made whole, and an operator has said that nothing of it leaves."""


class Trigger(StrEnum):
    """Causes of a run; the values stand in the store."""

    SCHEDULE = "schedule"
    EVENT = "event"
    CALL = "call"
    OPERATOR = "operator"


class Cause(Struct, frozen=True):
    """Why a run is made: by which trigger; `by` names the event or the caller, an operator gives his name and his reason."""

    trigger: Trigger
    by: str | None = None
    operator: Operator | None = None

    @property
    def made_by(self) -> str | None:
        """Who is named with the run."""
        return self.operator.name if self.operator else self.by

    @property
    def reason(self) -> str | None:
        """An operator's reason."""
        return self.operator.reason if self.operator else None

    @property
    def row(self) -> dict[str, str | None]:
        """As it stands with its run."""
        return {"trigger": self.trigger.value, "made_by": self.made_by, "reason": self.reason}


class DayRange(NamedTuple):
    """Days from the first to the last one, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


class Run(Struct, frozen=True):
    """A run as it stands. `first` and `last` are Oslo's local times, between which its orders lie; None where it has none."""

    run_no: int
    run_id: str
    rail: str
    area: Area
    what: ReconciliationKind
    form: str
    first_day: date
    last_day: date
    first_key: str | None
    last_key: str | None
    first: datetime | None
    last: datetime | None
    trigger: Trigger
    made_by: str | None
    reason: str | None
    made_at: datetime
    state: RunState
    good_at: datetime | None
    replaced_by: int | None
    orders: int
    messages: int
    accepted: int
    warned: int
    rejected: int
    missing: int
    accepted_kroner: Kroner
    warned_kroner: Kroner
    rejected_kroner: Kroner
    missing_kroner: Kroner

    @property
    def days(self) -> DayRange:
        """The days that it is about."""
        return DayRange(self.first_day, self.last_day)

    @property
    def totals(self) -> Mapping[Bucket, BucketTotal]:
        """Its orders by bucket."""
        return {bucket: BucketTotal(getattr(self, bucket.value), getattr(self, f"{bucket.value}_kroner")) for bucket in Bucket}

    def reported(self, form: ReconciliationForm) -> InterfaceRun:
        """The run as its rail writes it. Only of one that is not empty."""
        assert self.first is not None, "an empty run has no messages"
        assert self.last is not None, "an empty run has no messages"
        return InterfaceRun(self.run_id, self.area, form, self.first_key or "", self.last_key or "", self.first, self.last, self.totals)


class ChangedOrders(NamedTuple):
    """So many orders of a run were reported as `bucket`, and are `by_now` (a bucket, or withdrawn)."""

    bucket: str
    by_now: str
    orders: int


def read(connection: Connection, run_no: int) -> Run:
    """A run. Raises NotFound."""
    found = fetch_one(connection, Run, _SQL.run, {"run_no": run_no}, what=ReconciliationKind, trigger=Trigger, state=RunState)
    if found is None:
        raise NotFound(f"no reconciliation has the number {run_no}")
    return found


def listing(
    connection: Connection,
    *,
    limit: int,
    area: str | None = None,
    kind: ReconciliationKind | None = None,
    state: RunState | None = None,
    day: date | None = None,
) -> Sequence[Run]:
    """Runs, newest first; of an area, of a kind, in a state, or about a day."""
    wanted = {"area": area, "kind": kind and kind.value, "state": state and state.value, "day": day, "limit": limit}
    return fetch(connection, Run, _SQL.runs, wanted, what=ReconciliationKind, trigger=Trigger, state=RunState)


def messages(connection: Connection, run_no: int) -> Sequence[bytes]:
    """The messages of a run, in their order."""
    return [bytes(body) for body in fetch_values(connection, _SQL.messages_of_run, {"run_no": run_no})]


def bodies_of_run(connection: Connection, run_no: int) -> Iterator[bytes]:
    """The messages of a run, in their order, some at once; whoever takes his time over them keeps no transaction open."""
    after = 0
    while found := fetch_values(connection, _SQL.messages_of_run_after, {"run_no": run_no, "after": after, "limit": _BODIES_AT_ONCE}):
        yield from map(bytes, found)
        after += len(found)


def run_id(kind: ReconciliationKind, rail: str, area: Area, days: DayRange, before: int) -> str:
    """The id of a run over a range; `before` is how many there have been over it."""
    return named_uuid(_RUNS, f"{kind.value}\0{rail}\0{area}\0{days.first}\0{days.last}\0{before}")


def run_id_of_call(digest: bytes) -> str:
    """The id of a run whose caller gives it none: of all that was said in the call."""
    return named_uuid(_RUNS, f"call\0{digest.hex()}")


def add_messages(connection: Connection, run_no: int, run: str, after: int, bodies: Sequence[bytes]) -> int:
    """Stores messages of a run, by its number and its id, behind as many as it has; returns how many it has then."""
    places = [*range(after + 1, after + 1 + len(bodies))]
    ids = [named_uuid(_RUNS, f"{run}\0{place}") for place in places]
    connection.execute(_SQL.add_messages, {"run_no": run_no, "places": places, "ids": ids, "bodies": [*bodies]})
    return after + len(bodies)


class _MessagesInState(NamedTuple):
    state: str
    messages: int


def message_states(connection: Connection, run_no: int) -> Mapping[str, int]:
    """How many messages of a run are in which state."""
    rows = fetch(connection, _MessagesInState, _SQL.states_of_messages, {"run_no": run_no})
    return {each.state: each.messages for each in rows}


def changed_since(connection: Connection, run: Run, warned_by: Sequence[str]) -> Sequence[ChangedOrders]:
    """Returns what of a run's orders is otherwise by now than it was reported; the run itself stays as it is (design §12)."""
    return fetch(connection, ChangedOrders, _SQL.changed_since, {"run_no": run.run_no, "warned_by": list(warned_by)})
