"""The port to a ledger that is not ours: three calls, and the three ways in which they may fail (design §9; payouts §4.1, §7.3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from kvitt.money import Minor
from kvitt.rules.ledger import Batch


class LedgerCallFailed(Exception):
    """A call to the ledger did not succeed; the text says why and holds nothing personal."""


class LedgerRefused(LedgerCallFailed):
    """The ledger has refused the call: this call has done nothing."""


class LedgerUnavailable(LedgerCallFailed):
    """The ledger was not reached, or asks to be called again later; the call may be repeated."""


class LedgerResultUnknown(LedgerCallFailed):
    """The call may have been done, may be done later, or not at all."""


class RemoteLedger(Protocol):
    """Knows its accounts; holds, commits and rolls back plans of one batch; every call may be repeated. Safe for use by several threads.

    Each call may take as long as its own time limit, and not beyond `deadline`. All raise
    LedgerRefused, LedgerUnavailable, LedgerResultUnknown.
    """

    def currency(self, account_id: int, *, deadline: datetime | None = None) -> str | None:
        """The currency of an account, which never changes; None when there is no such account."""

    def hold(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> Mapping[int, Minor]:
        """Holds a plan; returns `available_min` of each account of it, by account id."""

    def commit(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Commits a plan that was held."""

    def rollback(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Rolls a plan back that was held."""
