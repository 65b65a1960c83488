"""Calls to the ledger and their answers, as values."""

from datetime import datetime

from msgspec import Struct

from kvitt.kernel.actor import Actor
from kvitt.ledger.rules import (
    Batch,
    CallRefusal,
    Operation,
    Totals,
)


class Account(Struct, frozen=True):
    """An account as it is made; its id is the ledger's."""

    account_id: int
    currency: str
    description: str | None
    created_at: datetime


class AccountState(Struct, frozen=True):
    """An account with its totals at some moment."""

    account: Account
    totals: Totals


class NewAccount(Struct, frozen=True):
    """A request to make an account. `request_key` recognises a repeat; `created_at` None means now; `actor` is who asked by an API."""

    currency: str
    description: str | None = None
    created_at: datetime | None = None
    request_key: str | None = None
    actor: Actor | None = None


StepKey = tuple[str, Operation, int]
"""A plan's id, what was done to it, and the batch that was held, or the largest number where the plan was ended."""


class Call(Struct, frozen=True):
    """A hold of one batch, or the end of a plan with all its batches.

    `solvent` names an account that must have nothing less than zero left when all open plans end against it; else nothing is done.
    `actor` is who asked for it by an API.
    """

    plan_id: str
    operation: Operation
    batches: tuple[Batch, ...]
    solvent: int | None = None
    actor: Actor | None = None


class Done(Struct, frozen=True):
    """The accounts that a call touched, with their totals after it, by id, and its moment. A repeat is answered as the first time."""

    affected: dict[int, AccountState]
    at: datetime


class Insolvent(Struct, frozen=True):
    """The account that had to stay solvent does not exist, or would not have stayed so."""

    account_id: int


CallResult = Done | CallRefusal | Insolvent
LedgerCommand = Call | NewAccount
LedgerResult = CallResult | Account
