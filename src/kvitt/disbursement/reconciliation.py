"""Reconciliation as values: what a hub reports to a rail of the orders of a range, or of the lines that are in force (design §15).

A contract says in which form its orders are reported, a rail writes the messages. Nothing here knows a wire.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from kvitt.disbursement.values import Area, LineId, RateType
from kvitt.kernel.money import Kroner


class ReconciliationKind(StrEnum):
    """Kinds of reconciliation; the values stand in the store."""

    INTERFACE = "interface"
    """The orders of a range of days, each with what the rail said of it."""
    CONSISTENCY = "consistency"
    """The lines that are in force on a day."""


class Bucket(StrEnum):
    """Groups in which a run counts its orders; the values stand in the store. Each order is in one of them."""

    ACCEPTED = "accepted"
    WARNED = "warned"
    """Accepted with a note."""
    REJECTED = "rejected"
    MISSING = "missing"
    """No answer has come, or one that says neither yes nor no."""


class KeyForm(StrEnum):
    """Forms of the key by which the rail finds the orders of a range."""

    DAY = "day"
    """The day of the order, as a time that is the same for all orders of it."""
    NUMBER = "number"
    """A number that each order has alone."""


class ReconciliationForm(Struct, frozen=True):
    """How the orders of a contract are reported. `name` stands in the store with each run.

    `component` and `user` None: the area. `repeats_late`: an order whose answer came after its run is reported again in the next one.
    """

    name: str
    key_form: KeyForm
    component: str | None = None
    user: str | None = None
    repeats_late: bool = False
    namespaced: bool = True
    """Whether the root of messages has the namespace of the rail's schema."""
    empty_sums: bool = True
    """Whether a bucket without orders has a sum of 0 with a sign, or none."""


class BucketTotal(Struct, frozen=True):
    """So many orders, and the sum of their lines' amounts: a check sum, with its sign, and not money."""

    orders: int = 0
    kroner: Kroner = Kroner(0)


class ReportedOrder(Struct, frozen=True, gc=False):
    """An order as a run reports it; `made_at` is Oslo's local time. What the rail said is empty where it said nothing."""

    order_id: str
    case_id: str
    person: str
    bucket: Bucket
    made_at: datetime
    severity: str = ""
    code: str = ""
    text: str = ""


class InterfaceRun(Struct, frozen=True):
    """One run over the orders of an area.

    `first_key` and `last_key` are as the messages have them, `first` and `last` are the local times that the orders lie between. Each
    bucket is in `totals`.
    """

    run_id: str
    area: Area
    form: ReconciliationForm
    first_key: str
    last_key: str
    first: datetime
    last: datetime
    totals: Mapping[Bucket, BucketTotal]

    @property
    def total(self) -> BucketTotal:
        """All orders of the run."""
        each = self.totals.values()
        return BucketTotal(sum(one.orders for one in each), Kroner(sum(one.kroner for one in each)))


class ActiveLine(Struct, frozen=True, gc=False):
    """A line in force, as it was sent: with its whole period, whatever of it has passed or was ceased since.

    `own_number` and `own_reference` are given where the sender made the line: then they are its names at the rail, and there is no other.
    """

    line_id: LineId
    refers_to: LineId | None
    class_code: str
    start: date
    end: date
    amount: Kroner
    rate_type: RateType
    decided_on: date | None
    caseworker: str
    approver: str
    recipient: str
    decision_id: str
    grade: int | None = None
    own_number: int | None = None
    own_reference: int | None = None


class ActiveCase(Struct, frozen=True):
    """A case with its lines in force in one area; `office` None: the rail's usual one."""

    case_id: str
    person: str
    frequency: str
    caseworker: str
    office: str | None
    lines: tuple[ActiveLine, ...]


class ConsistencyRun(Struct, frozen=True):
    """One run over the lines of an area in force at the Oslo local time `at`; `run_id` is the same in all parts of it."""

    run_id: str
    area: Area
    form: ReconciliationForm
    at: datetime


class ConsistencyTotal(Struct, frozen=True):
    """So many cases, and the sum of their lines' amounts."""

    cases: int = 0
    kroner: Kroner = Kroner(0)


MOST_DETAILS: Final = 70
"""So many orders of which there is something to say stand in one message."""
