"""The rows that a transaction about cases writes, each with its statement of `write.sql`, and those of other cases that it reads."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from kvitt.disbursement.values import LineAtRail
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row

_WRITE = load("write", "kvitt.disbursement")


class OtherCase(NamedTuple):
    """Another case that pays the person of the case `asked_by`. `exempt`: the class codes that two people have let both pay."""

    asked_by: int
    case_no: int
    scheme: str
    case_id: str
    exempt: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """The name under which its pay is shown."""
        return f"of {self.scheme} case {self.case_id}"


class PaymentOfOtherCase(NamedTuple):
    """A payment of another case, or (None) that the case has none."""

    other: OtherCase
    document: bytes | None


class LineOfOtherCase(NamedTuple):
    """A line that another case's sender made, and who gets its money."""

    other: OtherCase
    recipient: str
    line: LineAtRail


class MessageRow(Row, frozen=True):
    """A record that came in, with what became of it at once."""

    statement = _WRITE.add_messages
    joins = True
    message_no: int
    source: str
    partition: int
    position: int
    key: bytes | None
    digest: bytes
    body: bytes
    headers: bytes | None
    scheme: str
    case_no: int | None
    dry_run: bool
    state: str
    received_at: datetime
    derived_at: datetime | None
    answered_at: datetime | None
    answer: bytes | None
    edition: int


class MessageStep(Row, frozen=True):
    """A message that was stored before and is now derived or answered; None keeps what is stored."""

    statement = _WRITE.step_messages
    message_no: int
    state: str
    derived_at: datetime | None
    answered_at: datetime | None
    answer: bytes | None
    published_at: datetime | None = None


class OrderRow(Row, frozen=True):
    """A new order, sent over its rail unless it is held; `held_for` are its reasons as JSON.

    Only forwarded ones have a key for reconciliation. `published_under` is the key of its records on the order topic, None: its sender's.
    `day` is Oslo's, `sum_kroner` sums up its lines.
    """

    statement = _WRITE.add_orders
    joins = True
    order_id: str
    case_no: int
    number: int
    area: str
    person: str
    message_no: int
    rail: str
    message: bytes
    correlation_time: str
    correlation_key: bytes
    rail_document: str
    is_first_order: bool
    made_at: datetime
    held_for: str
    day: date
    sum_kroner: Kroner
    priority: int
    reconciliation_key: int | None
    published_under: bytes | None


class LineRow(Row, frozen=True):
    """One line of a new order; `office` None: the rail's usual one pays it. `grade` is a percentage."""

    statement = _WRITE.add_lines
    joins = True
    order_id: str
    position: int
    line_id: str
    refers_to: str | None
    payment_id: str
    class_code: str
    start_on: date
    end_on: date
    amount: Kroner
    decided_rate: Kroner | None
    ceased_from: date | None
    decision_id: str
    forwarded: bool
    rate_type: str
    decided_on: date | None
    caseworker: str
    approver: str
    recipient: str
    office: str | None
    grade: int | None


class OutsideFindingRow(Row, frozen=True):
    """A reason that held an order when it was made, and that its case alone does not show; in another case or in none."""

    statement = _WRITE.add_outside_findings
    order_id: str
    place: int
    case_no: int
    other_case_no: int | None
    class_code: str | None
    reason: str


class SourceHourRow(Row, frozen=True):
    """Kroner that an order has a source that has a limit paid, in an hour."""

    statement = _WRITE.add_to_source_hours
    order_id: str
    case_no: int
    source: str
    hour: datetime
    kroner: int


class PaymentRow(Row, frozen=True):
    """A version of a payment, pending until its order has its receipt; `position` is its place among the payments of the order, from 0."""

    statement = _WRITE.add_payments
    joins = True
    case_no: int
    payment_id: str
    version: int
    order_id: str
    area: str
    action: str
    client_chose: bool
    position_in_case: int
    last_line: str
    document: bytes
    position: int
    currency: str


class IdempotencyRow(Row, frozen=True):
    """A message under its identity within the case: two names that its contract chooses, and a digest of what it asks for."""

    statement = _WRITE.add_idempotency_records
    joins = True
    message_no: int
    case_no: int
    subject: str
    name: str
    digest: bytes


class ReceiptRow(Row, frozen=True):
    """One thing that a raw receipt says, what it turned out to be, and the rail's own words, or why they could not be read."""

    statement = _WRITE.add_receipts
    joins = True
    receipt_no: int
    rail: str
    message_id: str
    digest: bytes
    place: int
    body: bytes
    received_at: datetime
    order_id: str | None
    severity: str | None
    code: str | None
    outcome: str
    note: str


class CaseStep(Row, frozen=True):
    """The changes of a transaction to a case that it holds the lock of; `areas` and `unknown` are comma lists."""

    statement = _WRITE.step_cases
    joins = True
    case_no: int
    person: str | None
    areas: str
    orders_made: int
    open_orders: int
    queued: int
    audit_seq: int
    last_event_hash: bytes
    last_at: datetime
    unknown: str
    contradictions: int = 0
    contract: str | None = None
    frame_start: date | None = None
    cap_kroner: Kroner | None = None
    numbered: int = 0
    ordered_for: str | None = None
    opened_for: str | None = None


class DecisionRow(Row, frozen=True):
    """A message that came in by a call: who asked for what, and what was done at once; a refusal is there as its sender heard it."""

    statement = _WRITE.add_decisions
    joins = True
    message_no: int
    case_no: int | None
    contract: str
    operation: str
    application: str
    person: str | None
    by_approver: bool
    outcome: str
    refused_status: int | None
    refused_text: str | None
    refused_doc: str | None
    refused_system: str | None


class TriggerRow(Row, frozen=True):
    """A record that asks for reconciliation up to a day, as it came in; one under the same edge identity again does nothing."""

    statement = _WRITE.add_triggers
    source: str
    partition: int
    position: int
    key: bytes | None
    body: bytes
    headers: bytes | None
    edition: int
    up_to: date
    came_at: datetime


class DeferredRow(Row, frozen=True):
    """A message (with its place on its topic) or a receipt (with message id and rail) that came for a case that somebody else holds."""

    statement = _WRITE.add_deferred
    scheme: str
    case_id: str
    source: str | None
    partition: int | None
    position: int | None
    key: bytes | None
    headers: bytes | None
    message_id: str | None
    body: bytes
    came_at: datetime
    rail: str | None = None


class DeadLetterRow(Row, frozen=True):
    """A record that could not be read, with the reason."""

    statement = _WRITE.add_dead_letters
    source: str
    partition: int
    position: int
    key: bytes | None
    body: bytes
    headers: bytes | None
    reason: str
    message_no: int | None
    at: datetime


class SimulationRow(Row, frozen=True):
    """A question of a request to simulate; `place` counts the questions of one request, which is known by its `name`."""

    statement = _WRITE.add_simulations
    name: str
    asker: str
    contract: str
    message_no: int | None
    caller: str | None
    case_no: int
    person: str
    rail: str
    requested_at: datetime
    deadline: datetime | None
    place: int
    area: str
    order_id: str | None
    question: bytes


class OrderCheckRow(Row, frozen=True):
    """An order that is simulated before it leaves, with the policy of then; `due_at` None: a request is made with it.

    One that can not be asked about has ended at once, with a `finding`.
    """

    statement = _WRITE.add_order_checks
    order_id: str
    case_no: int
    message_no: int
    made_at: datetime
    mode: str
    most_recovered: int | None
    waits: bool
    question: bytes
    times_asked: int
    due_at: datetime | None
    ended_at: datetime | None
    finding: str | None
    note: str | None
    seen: bytes | None
