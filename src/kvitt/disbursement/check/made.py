"""Values that a replay makes: of a case its orders, the versions of its payments and what contradicted its orders; and of a message how it
reads, and what should have become of it so far.
"""

from datetime import datetime

from msgspec import Struct

from kvitt.disbursement.contract import Contract, Contracts, parse_again
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.events import MessageInProgress, OrderOfMessage, PaymentVersion
from kvitt.disbursement.handle import numbered
from kvitt.disbursement.holding import HoldReason
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.rail import Candidate, ReceiptOutcome
from kvitt.disbursement.rows import MessageRow, MessageStep, OrderRow, PaymentRow
from kvitt.disbursement.states import MessageState, OrderState, PaymentState
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Refusal
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


class MessageReplay:
    """A stored message, read again, and the row that its handling makes. `trusted` ends when its handling could not be repeated."""

    def __init__(self, stored: MessageRow, contracts: Contracts) -> None:
        self.stored = stored
        self.contract: Contract = contracts.of[stored.source]
        self.parsed = parse_again(
            contracts,
            Incoming(
                stored.source, stored.partition, stored.position, stored.key, stored.body, stored.headers, edition=Edition(stored.edition)
            ),
        )
        self.message = numbered(self.parsed, stored.message_no, stored.received_at)
        self.state = MessageState.RECEIVED
        self.derived_at: datetime | None = None
        self.answered_at: datetime | None = None
        self.answer: bytes | None = None
        self.open_orders: set[str] = set()
        self.order_ids: list[str] = []
        self.trusted = True

    def step(self, step: MessageStep) -> None:
        """Takes a step as the store does: what the step leaves out stays."""
        self.state = MessageState(step.state)
        self.derived_at = step.derived_at or self.derived_at
        self.answered_at = step.answered_at or self.answered_at
        self.answer = step.answer or self.answer

    def failure(self) -> Refusal | None:
        """The stored answer, if it says that kvitt itself failed on the message: such an answer can not be derived again."""
        return None if self.stored.answer is None else self.contract.failure_in(self.stored.answer)

    def in_progress(self, orders: tuple[OrderOfMessage, ...]) -> MessageInProgress:
        """The message as its replies are made from it, with the answer so far."""
        message = self.message
        return MessageInProgress(
            message_no=message.message_no,
            source=message.source,
            partition=message.partition,
            position=message.position,
            key=message.key,
            headers=message.headers,
            scheme=message.scheme,
            body=message.body,
            received_at=message.received_at,
            edition=message.edition,
            answer=self.answer,
            last_at=message.received_at,
            orders=orders,
        )


def step_of(work: UnitOfWork) -> MessageStep:
    """Returns what handling did to the message, whether it was stored before or came in with it."""
    if work.steps:
        return work.steps[0]
    kept = work.messages[0]
    return MessageStep(kept.message_no, kept.state, kept.derived_at, kept.answered_at, kept.answer)
