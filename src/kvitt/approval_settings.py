"""The settings of acts: which of them one person may do, where all others take two."""

from typing import Final

from msgspec import Struct

_ALONE: Final = ("sending stop", "dead close", "receipt close", "simulation again", "payout republish")
"""Acts that pay nothing, and are urgent or trivial."""
MAY_BE_ALONE: Final = (
    *_ALONE,
    "sending resume",
    "order withdraw",
    "dead replay unchanged",
    "reconcile run",
    "reconcile again",
    "reconcile resolve",
    "reconcile drop",
)
"""All acts that an installation may leave to one person; nothing is paid by any of them that its sender did not ask for."""


class ApprovalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which acts are done by one person; all others are by two. `alone` names some of `MAY_BE_ALONE`."""

    alone: tuple[str, ...] = _ALONE
