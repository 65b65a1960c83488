"""The program: all commands, and the concrete parts that they are given."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from kvitt.cli import COMMANDS
from kvitt.cli.shell import Commands, Lazy

if TYPE_CHECKING:
    from kvitt.disbursement.dead import Put
    from kvitt.disbursement.ports import Ports
    from kvitt.disbursement.source_limits import SourceLimits
    from kvitt.kernel.approvals import Approvals
    from kvitt.kernel.database import Connection
    from kvitt.kernel.jobs import Job
    from kvitt.payouts.service import PayoutService
    from kvitt.settings import PayoutsSettings, Settings


class _Wired:
    """The parts, each imported when a command asks for it, so that the help is quick."""

    @property
    def ports(self) -> "Ports":
        from kvitt.app.ports import PORTS

        return PORTS

    def acting(self, settings: "Settings") -> "Ports":
        from kvitt.app.ports import ports_as_set

        return ports_as_set(settings, ())

    def database(self, settings: "Settings", *, own: bool, upgrade_it: bool = True) -> AbstractContextManager[str]:
        from kvitt.app.parts import database

        return database(settings, own=own, upgrade_it=upgrade_it)

    def hub(self, conninfo: str, settings: "Settings") -> AbstractContextManager[None]:
        from kvitt.app.hub import hub_at_work

        return hub_at_work(conninfo, settings)

    def payouts(self, conninfo: str, settings: "PayoutsSettings") -> "AbstractContextManager[PayoutService]":
        from kvitt.app.parts import payouts_of

        return payouts_of(conninfo, settings)

    def approvals(self, connection: "Connection", settings: "Settings") -> "Approvals":
        from kvitt.app.approvals import approvals_of

        return approvals_of(settings, connection)

    def limits(self, settings: "Settings") -> "SourceLimits":
        from kvitt.app.ports import limits_of

        return limits_of(settings.limits)

    def jobs(self, settings: "Settings") -> "Sequence[Job]":
        from kvitt.app.parts import jobs_of

        return jobs_of(settings, self.ports)

    def put(self, connection: "Connection", settings: "Settings") -> "Put":
        from kvitt.app.approvals import put_of

        return put_of(settings, connection)


_OWN = {
    "demo": Lazy("kvitt.demo.run:demo", "Run everything on the examples and on made-up cases, then prove the outcome"),
    "up": Lazy("kvitt.app.process:up", "Run the hub: intake, sender, receiver, relay and the rail emulator, until Ctrl-C or SIGTERM"),
    "run": Lazy("kvitt.app.process:run", "Run chosen roles of the hub until SIGTERM or Ctrl-C; as many processes as wanted share the work"),
}
main = Commands(
    "kvitt",
    MappingProxyType({**COMMANDS, **_OWN}),
    help="Decisions about money come in, the smallest correct orders go to the payment rail, each acknowledged and answered exactly once.",
    epilog="Try it: kvitt demo",
    context_settings={"help_option_names": ["-h", "--help"], "obj": _Wired()},
)
click.version_option(package_name="kvitt", message="%(prog)s %(version)s")(main)
