"""Payouts as values: what is asked for, what is stored, what is published, and the commands about one of them."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from kvitt.kernel.actor import CLI, Actor
from kvitt.kernel.money import Minor
from kvitt.kernel.operators import Operator
from kvitt.payouts.rules import Payout, PayoutStatus

__all__ = [
    "CancelPayout",
    "Cash",
    "ConfirmPayout",
    "CreatePayout",
    "Draft",
    "Keeper",
    "MarkPaid",
    "NewPayout",
    "Payout",
    "PayoutCommand",
    "PayoutCursor",
    "PayoutEvent",
    "PayoutRecord",
    "RepublishEvents",
    "RequestPayout",
    "actor_of",
]


class Cash(Struct, frozen=True):
    """An amount of a currency."""

    amount: Minor
    currency: str


class NewPayout(Struct, frozen=True):
    """A request for a payout. `payout_id` None: a random one; `payout_tool_id` None: the shop's own."""

    party_id: str
    shop_id: str
    cash: Cash
    payout_id: str | None = None
    payout_tool_id: str | None = None


class Draft(Struct, frozen=True):
    """A payout as it shall be, and the account that must stay solvent when it is held."""

    payout: Payout
    settlement: int


class Keeper(StrEnum):
    """Whose ledger has the plans of a payout."""

    OWN = "own"
    REMOTE = "remote"


class PayoutRecord(Struct, frozen=True):
    """A payout with what only kvitt knows of it: its plans, how often it was republished, and the hash and the moment of its last event."""

    payout: Payout
    keeper: Keeper
    plan_id: str
    reversal_plan_id: str | None
    republished: int
    last_event_hash: bytes
    last_at: datetime


class PayoutCursor(Struct, frozen=True):
    """A place in the list of payouts, newest first: behind the payout with this time and id."""

    created_at: datetime
    payout_id: str


class PayoutEvent(Struct, frozen=True):
    """An event of a payout: the status that it came to, when, and the bytes that were published."""

    sequence: int
    at: datetime
    status: PayoutStatus
    body: bytes


class CreatePayout(Struct, frozen=True):
    """Store the payout and hold its plan, if the settlement account stays solvent."""

    draft: Draft
    actor: Actor | None = None

    @property
    def payout_id(self) -> str:
        """The payout that it is about."""
        return self.draft.payout.payout_id


class RequestPayout(Struct, frozen=True):
    """Draft a payout under this id by the local directory, and create it."""

    new: NewPayout
    payout_id: str
    actor: Actor | None = None


class ConfirmPayout(Struct, frozen=True):
    """Commit its plan. `operator` is who does it, where a person does, `actor` who asked by an API."""

    payout_id: str
    operator: Operator | None = None
    actor: Actor | None = None


class CancelPayout(Struct, frozen=True):
    """Roll its plan back, or reverse it after it was committed."""

    payout_id: str
    details: str
    operator: Operator | None = None
    actor: Actor | None = None


class MarkPaid(Struct, frozen=True):
    """Note that the bank has taken the order."""

    payout_id: str
    operator: Operator


class RepublishEvents(Struct, frozen=True):
    """Publish its events again."""

    payout_id: str
    operator: Operator


PayoutCommand = CreatePayout | RequestPayout | ConfirmPayout | CancelPayout | MarkPaid | RepublishEvents


def actor_of(command: PayoutCommand) -> Actor | None:
    """The actor behind a command: at an API, or on the command line."""
    if not isinstance(command, CreatePayout | RequestPayout) and command.operator is not None:
        return Actor(CLI, command.operator.name)
    return None if isinstance(command, MarkPaid | RepublishEvents) else command.actor
