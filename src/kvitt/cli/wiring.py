"""All that the commands have from the program that they are part of: they know no contract, no rail and no transport of their own."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, cast

import click

if TYPE_CHECKING:
    from kvitt.disbursement.dead import Put
    from kvitt.disbursement.ports import Ports
    from kvitt.disbursement.source_limits import SourceLimits
    from kvitt.kernel.approvals import Approvals
    from kvitt.kernel.database import Connection
    from kvitt.kernel.jobs import Job
    from kvitt.payouts.service import PayoutService
    from kvitt.settings import PayoutsSettings, Settings


class Wiring(Protocol):
    """Concrete parts, put together as the settings say."""

    @property
    def ports(self) -> "Ports":
        """The contracts and rails as they are where nothing is set: for reading and checking."""

    def acting(self, settings: "Settings") -> "Ports":
        """The same as they are set: what people do may let the next message of a case in."""

    def database(self, settings: "Settings", *, own: bool, upgrade_it: bool = True) -> AbstractContextManager[str]:
        """A migrated database as conninfo. Raises DataDirectoryInUse, NotUpgraded."""

    def hub(self, conninfo: str, settings: "Settings") -> AbstractContextManager[None]:
        """Every role that the settings allow, at work in this process while the block runs."""

    def payouts(self, conninfo: str, settings: "PayoutsSettings") -> AbstractContextManager["PayoutService"]:
        """Payouts with the parties and the ledger that are set, until the block ends."""

    def approvals(self, connection: "Connection", settings: "Settings") -> "Approvals":
        """Acts that can be asked for, with all that they need, on a connection."""

    def limits(self, settings: "Settings") -> "SourceLimits":
        """How much sources may have paid, as the settings say."""

    def jobs(self, settings: "Settings") -> "Sequence[Job]":
        """The scheduled jobs as the settings say."""

    def put(self, connection: "Connection", settings: "Settings") -> "Put":
        """Returns what appends a dead letter's record to its topic, in the transaction of a connection where the log is a table."""


def wiring() -> Wiring:
    """Returns what the running command is given."""
    return cast("Wiring", click.get_current_context().find_root().obj)
