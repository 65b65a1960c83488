"""The bell: how many acts of others wait for the word of whoever looks, above each page of who may approve."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.people.claims import ConsolePerson, ConsoleRole
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.queries import load

_MOST: Final = 100
_SQL: Final = load("bell", "kvitt.api.console")


class WaitingApprovals(NamedTuple):
    """How many acts wait for somebody's word, up to a bound, and the number of the first."""

    approvals: int
    first_no: int | None

    @property
    def is_at_least(self) -> bool:
        """Whether there may be more."""
        return self.approvals >= _MOST


def waiting_for(connection: Connection, who: ConsolePerson, now: datetime) -> WaitingApprovals | None:
    """The acts that wait for this person's word; None for who may not approve."""
    if ConsoleRole.APPROVE not in who.roles:
        return None
    return fetch_one(connection, WaitingApprovals, _SQL.waits_for, {"now": now, "issuer": who.issuer, "person": who.person, "limit": _MOST})
