"""Names who is logged in, by the claims of an ID token, and what their groups let them do (design §11, §17).

Who is who is decided by the issuer and one claim, which is the same for every client of that issuer; names are labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from kvitt.api.rest.callers import MACHINE_ROLE
from kvitt.errors import BadOperator, NotAuthenticated
from kvitt.kernel.operators import cleaned, name_of

_LONGEST_NAME = 100
ISSUER: Final = "kvitt-local-people"
"""Who names people that are made up."""


class ConsoleRole(StrEnum):
    """Roles of people: look at pages, ask for acts, approve those of others, see whose a case is, and see who looked at whom."""

    LOOK = "look"
    ACT = "act"
    APPROVE = "approve"
    PERSONS = "persons"
    AUDIT = "audit"


LOCAL_ROLES: Final[Mapping[ConsoleRole, Sequence[str]]] = {role: (role.value,) for role in ConsoleRole}
"""What their groups let them do: a group is called after its role."""


class ConsolePerson(Struct, frozen=True):
    """A person as their issuer knows them. `person` is the claim that tells people apart, and stands in the audit chain.

    `authenticated_at` is when they had last proved who they are (`auth_time`); None: the issuer does not say.
    """

    issuer: str
    person: str
    name: str
    roles: frozenset[ConsoleRole]
    authenticated_at: datetime | None = None


class Claims(Struct, frozen=True):
    """Which claims say who somebody is, and which groups have which role."""

    person: str
    name: str
    groups: str
    roles: Mapping[ConsoleRole, Sequence[str]]

    def person_of(self, claims: Mapping[str, Any]) -> ConsolePerson:
        """The person that claims name. Raises NotAuthenticated where they name none, an application, or nobody who may see the console."""
        if MACHINE_ROLE in _texts(claims.get("roles")):
            raise NotAuthenticated("the token is an application's own, and names no person")
        try:
            person = name_of(self.person, str(claims[self.person]))
            name = cleaned(self.name, str(claims.get(self.name) or person))[:_LONGEST_NAME]
        except (KeyError, BadOperator):
            raise NotAuthenticated(f"the issuer does not say who you are ({self.person})") from None
        if self.groups not in claims:
            raise NotAuthenticated(f"the issuer does not say which groups you are in ({self.groups}), so you have no role here")
        groups = _texts(claims[self.groups])
        roles = frozenset(role for role, allowed in self.roles.items() if not groups.isdisjoint(allowed))
        if not roles:
            raise NotAuthenticated("none of your groups has a role here")
        return ConsolePerson(str(claims["iss"]), person, name, roles | {ConsoleRole.LOOK}, _moment(claims.get("auth_time")))


def _moment(claim: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(claim, UTC) if isinstance(claim, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _texts(claim: object) -> frozenset[str]:
    found: Iterable[object] = claim if isinstance(claim, list) else [claim]
    return frozenset(each for each in found if isinstance(each, str))
