"""Values that a replay makes of a case: its orders, the versions of its payments, and what contradicted its orders."""

from msgspec import Struct

from kvitt.disbursement.events import PaymentVersion
from kvitt.disbursement.holding import HoldReason
from kvitt.disbursement.rail import Candidate, ReceiptOutcome
from kvitt.disbursement.rows import OrderRow, PaymentRow
from kvitt.disbursement.states import OrderState, PaymentState
from kvitt.kernel.audit import AuditRow

VersionKey = tuple[str, int]


class Version:
    """A payment version of the replay."""

    def __init__(self, made: PaymentRow) -> None:
        self.made = made
        self.state = PaymentState.PENDING
        self.superseded = False

    @property
    def as_made(self) -> PaymentVersion:
        """As its order made it."""
        return PaymentVersion(self.made.payment_id, self.made.version, self.made.document)


class MadeOrder:
    """An order of the replay. `state` is ready until an entry settles it or leaves it unknown; sending is no entry of the chain."""

    def __init__(self, made: OrderRow) -> None:
        self.made = made
        self.state = OrderState.READY
        self.settled_by: AuditRow | None = None
        self.by_hand = False
        self.ruled: dict[int, ReceiptOutcome] = {}
        self.contradiction: MadeContradiction | None = None
        self.in_contradiction = False
        self.taken_back = False
        self.checked: tuple[HoldReason, ...] | None = None
        self.checks_before = 0

    @property
    def as_candidate(self) -> Candidate:
        """As a receipt finds it."""
        made = self.made
        return Candidate(
            order_id=made.order_id,
            case_no=made.case_no,
            area=made.area,
            number=made.number,
            message_no=made.message_no,
            state=self.state,
            correlation_time=made.correlation_time,
            is_first_order=made.is_first_order,
            message=made.message,
            person=made.person,
            published_under=made.published_under,
        )


class MadeContradiction:
    """A contradiction of the replay; `resolution` is the entry that closed it."""

    def __init__(self, order: MadeOrder, entry: AuditRow, rails: OrderState) -> None:
        self.order_id, self.receipt_no, self.found_at = order.made.order_id, entry.receipt_no, entry.at
        self.ours, self.rails = order.state, rails
        self.resolution: AuditRow | None = None


def unequal(made: Struct, stored: Struct) -> str:
    """The names of the fields in which two rows of one kind differ."""
    return ", ".join(name for name in made.__struct_fields__ if getattr(made, name) != getattr(stored, name))
