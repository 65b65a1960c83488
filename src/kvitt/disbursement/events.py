"""Events of a message, as values: of each of them its contract makes the records to publish and the answer to keep (design §3)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID, uuid5

from msgspec import Struct

from kvitt.disbursement.inbox import IdempotencyRecord, ReplyTo
from kvitt.disbursement.rail import Candidate, Observation, ReceiptOutcome
from kvitt.disbursement.simulation import SimulationOutcome
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import (
    Area,
    Order,
    Payment,
    Refusal,
    Scheme,
)

CORRECTED = "corrected: the rail has said otherwise, and its word was adopted"
"""Stands with an answer that replaces an earlier one."""


class PaymentVersion(Struct, frozen=True, gc=False):
    """A version of a payment as an order made it, with its document as the store keeps it."""

    payment_id: str
    version: int
    document: bytes


class Contradicted(Struct, frozen=True):
    """An order of which a receipt of this transaction says otherwise than what stands: `ours` stands, `rails` is the rail's word."""

    order: Candidate
    receipt: Observation
    receipt_no: int
    ours: OrderState
    rails: OrderState


class Settled(Struct, frozen=True):
    """An order that a receipt of this transaction moves."""

    order: Candidate
    receipt: Observation
    receipt_no: int
    outcome: ReceiptOutcome
    body: bytes
    by_hand: bool = False
    """It is an operator's word, in the form of a receipt."""

    @property
    def event_suffix(self) -> str:
        """Distinguishes the events of several receipts of one order that do not accept it."""
        return f" {self.receipt_no}" if self.order.answered and self.outcome is not ReceiptOutcome.ACCEPTED else ""


class OrderOfMessage(Struct, frozen=True):
    """An order of a message as it is stored, for contracts whose answers are made from it."""

    order_id: str
    reconciliation_key: int | None
    made_at: datetime
    message: bytes


class MessageInProgress(ReplyTo, frozen=True):
    """A message whose orders are under way: the answer so far, and its orders where the contract asks for them.

    `last_at` is when something was published of it last.
    """

    answer: bytes | None
    last_at: datetime
    orders: tuple[OrderOfMessage, ...] = ()


class Queued(Struct, frozen=True):
    """The message is queued behind the open order of its case."""


class Refused(Struct, frozen=True):
    """The message is refused for good; `reason` explains further why, where something more is known."""

    refusal: Refusal
    reason: str | None = None


class Repeated(Struct, frozen=True):
    """The message asks for what another one asked for before it."""

    record: IdempotencyRecord


class Unchanged(Struct, frozen=True):
    """Nothing differs from what is accepted, so there is no order."""

    dry_run: bool = False


class Simulated(Struct, frozen=True):
    """A dry run led to these orders, which are not made: the rail is asked about them.

    `published`: the questions as they were published to be asked by others, before kvitt asked them itself.
    """

    orders: Sequence[Order]
    published: Sequence[bytes] = ()


class SimulationEnded(Struct, frozen=True):
    """The rail was asked about a dry run of this case, or could not be; `day` is Oslo's."""

    outcome: SimulationOutcome
    case_id: str
    day: date


class Ordered(Struct, frozen=True):
    """Orders were made; `messages` are their bytes as they will leave."""

    case_no: int
    orders: Sequence[Order]
    messages: Sequence[bytes]


class WithRail(Struct, frozen=True):
    """All orders of the message are with the rail."""


class ReceiptRead(Struct, frozen=True):
    """A receipt says something of an order; `versions` are the payments of that order, as they stand in it."""

    settled: Settled
    versions: Sequence[PaymentVersion]


class OrderSettled(Struct, frozen=True):
    """A receipt has settled an order; others of the message may be open."""

    settled: Settled


class OrderUnclear(Struct, frozen=True):
    """A receipt says nothing certain of an order, which stays open."""

    settled: Settled


class AllSettled(Struct, frozen=True):
    """The last open order of the message is settled; the message has its last answer."""

    settled: Settled


class OrderWithdrawn(Struct, frozen=True):
    """The order of an area was taken back before it left; `last`: no order of the message is open any more.

    By an operator; or with a refusal, because the rail would do something else now than its approver saw.
    """

    order_id: str
    area: Area
    last: bool
    refusal: Refusal | None = None


class AreaOutcome(Struct, frozen=True):
    """Holds what became of the order of a message in one area; `receipt` is None for one that was taken back."""

    area: Area
    accepted: bool
    receipt: Observation | None


class Corrected(Struct, frozen=True):
    """The rail's word about a settled order was adopted: its versions, as they stand in it, became true, or they fell.

    `fallen` names the versions that hold again in the place of those that fell, None where there is none; `outcomes` are those of all
    orders of the message as they are now.
    """

    settled: Settled
    versions: Sequence[PaymentVersion]
    fallen: Sequence[tuple[str, PaymentVersion | None]]
    outcomes: Sequence[AreaOutcome]

    @property
    def event_suffix(self) -> str:
        """Distinguishes its records from those that said otherwise before."""
        return f" corrected {self.settled.receipt_no}"


Event = (
    Queued
    | Refused
    | Repeated
    | Unchanged
    | Simulated
    | SimulationEnded
    | Ordered
    | WithRail
    | ReceiptRead
    | OrderSettled
    | OrderUnclear
    | AllSettled
    | OrderWithdrawn
    | Corrected
)
"""What may happen to a message."""


class CaseListed(Struct, frozen=True):
    """Payments of a case became true, or fell: these live now, in the order in which they joined. `by` names what was settled."""

    scheme: Scheme
    case_id: str
    payment_ids: Sequence[str]
    message_no: int
    by: str


class ReceiptArrived(Struct, frozen=True):
    """An answer of a rail came, before anything is made of it; `scheme` is None where it names none of ours.

    Who copies it publishes the copy under `event_id`.
    """

    scheme: Scheme | None
    event_id: str
    body: bytes


class TriggeringRecord(Struct, frozen=True):
    """A record that asked for reconciliation, as it came in."""

    key: bytes | None
    body: bytes
    came_at: datetime


class ReconciliationGood(Struct, frozen=True):
    """All messages of a run over the orders of an area are put; `caused_by` None: it was nobody's word on a topic.

    `first_key` and `last_key` are as its messages have them.
    """

    run_id: str
    area: Area
    form: str
    first_key: str
    last_key: str
    last_day: date
    orders: int
    messages: int
    caused_by: TriggeringRecord | None = None


class PaymentsMoved(Struct, frozen=True):
    """Payments of a case came to this contract from another one, as they go on here; `payment_ids` live in the case now, as `CaseListed`.

    `version` is the number of the move among the orders of the case.
    """

    scheme: Scheme
    case_id: str
    case_no: int
    version: int
    payments: Sequence[Payment]
    payment_ids: Sequence[str]


Announcement = CaseListed | ReceiptArrived | ReconciliationGood | PaymentsMoved
"""What happens to no message alone."""


class OutboxRecord(Struct, frozen=True):
    """A record to publish. `event_id` is a function of what it says, so that a reader can drop a repeat.

    `value` None with `order_id`: the bytes of that order as they leave; else a tombstone. `payment` names the version (case, payment id,
    version) that a record about a payment names; one about a case itself names that alone.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: bytes
    event_id: str
    order_id: str | None = None
    payment: tuple[int, str | None, int | None] | None = None


class Reply(Struct, frozen=True):
    """The reply of a contract to an event: records in the order of publishing, and the answer to keep with the message (None: as it is).

    `order_keys`: for orders that have records of their own under another key than the message's, that key; it is stored with the order.
    """

    records: Sequence[OutboxRecord] = ()
    answer: bytes | None = None
    order_keys: Mapping[str, bytes] = {}


def withdrawal_event(order_id: str) -> str:
    """The id of publishing that an order was taken back."""
    return str(uuid5(UUID(order_id), "withdrawn"))
