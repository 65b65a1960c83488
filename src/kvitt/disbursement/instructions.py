"""PaymentInstructions: what one message asks of payments, before it is compared with what is accepted."""

from enum import Enum

from msgspec import Struct

from kvitt.disbursement.values import (
    Benefit,
    CaseId,
    DecisionId,
    HoldBack,
    Instruction,
    PaymentId,
    Period,
    RateType,
    Scheme,
)


class InstructionKind(Enum):
    """PAY these periods; CEASE by the message's own data; CEASE_STORED by what is stored (omitted, or amount 0)."""

    PAY = "pay"
    CEASE = "cease"
    CEASE_STORED = "cease stored"


class Decision(Struct, frozen=True):
    """Who decided what about which case; `key` is the sender's key, under which every answer goes back.

    `decided_at` is an ISO date, maybe with a time; `whole_case`: the message holds the whole case, so a payment that it omits ceases.
    """

    scheme: Scheme
    key: str
    case_id: CaseId
    decision_id: DecisionId
    person: str
    decided_at: str
    caseworker: str
    approver: str
    hold_back: HoldBack | None
    dry_run: bool
    whole_case: bool


class PaymentInstruction(Struct, frozen=True):
    """What shall become of one payment. `benefit` is None only for CEASE_STORED of something omitted."""

    kind: InstructionKind
    payment_id: PaymentId
    benefit: Benefit | None
    rate_type: RateType
    periods: tuple[Period, ...]


class PaymentInstructions(Instruction, frozen=True):
    """One message as a decision and its instructions, in the order in which the sender names them."""

    decision: Decision
    payments: tuple[PaymentInstruction, ...]
