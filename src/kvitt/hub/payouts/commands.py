"""What is handed in to be done to payouts in our own books; each names the one payout that it is about."""

from msgspec import Struct

from kvitt.hub.payouts.draft import Draft
from kvitt.kernel.actor import CLI, Actor
from kvitt.kernel.operators import Operator


class Create(Struct, frozen=True):
    """Store the payout and hold its plan, if the settlement account stays solvent."""

    draft: Draft
    actor: Actor | None = None

    @property
    def payout_id(self) -> str:
        """The payout that it is about."""
        return self.draft.payout.payout_id


class Confirm(Struct, frozen=True):
    """Commit its plan. `operator` is who does it, where a person does, `actor` who asked at a door."""

    payout_id: str
    operator: Operator | None = None
    actor: Actor | None = None


class Cancel(Struct, frozen=True):
    """Roll its plan back, or reverse it after it was committed."""

    payout_id: str
    details: str
    operator: Operator | None = None
    actor: Actor | None = None


class Paid(Struct, frozen=True):
    """Note that the bank has taken the order."""

    payout_id: str
    operator: Operator


class Republish(Struct, frozen=True):
    """Tell its events again."""

    payout_id: str
    operator: Operator


Command = Create | Confirm | Cancel | Paid | Republish


def actor_of(command: Command) -> Actor | None:
    """Who asked for it: at a door, or on the command line."""
    if not isinstance(command, Create) and command.operator is not None:
        return Actor(CLI, command.operator.name)
    return None if isinstance(command, Paid | Republish) else command.actor
