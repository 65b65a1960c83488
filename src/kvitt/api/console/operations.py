"""The acts of the installation, as pages that act are given them (design §11, §17)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from kvitt.api.people.approving import StepUp
from kvitt.disbursement.rail import Schedule
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.source_limits import SourceLimit
from kvitt.kernel.approvals import Approvals
from kvitt.kernel.database import Connection

if TYPE_CHECKING:
    from kvitt.transports.kafka.browse import KafkaBrowser


class Operations(Struct, frozen=True):
    """The acts of an installation, those of two people and those of one.

    `schedules` are the hours of its rails by their names, `reconcile` makes runs of reconciliation, `step_up` says which approvals want a
    login of minutes ago, `limits` are those of sources that have one; `browser` looks at topics where they are at brokers, None: the log is
    embedded. `cancelling` names the rails that can be asked to cancel an order.
    """

    approvals: Callable[[Connection], Approvals]
    schedules: Mapping[str, Schedule]
    reconcile: Callable[[Connection], Reconcile]
    step_up: StepUp
    limits: Mapping[str, SourceLimit] = {}
    browser: "KafkaBrowser | None" = None
    cancelling: Collection[str] = ()

    @property
    def rails(self) -> Sequence[str]:
        """The names of its rails."""
        return list(self.schedules)
