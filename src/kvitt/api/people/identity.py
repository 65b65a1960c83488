"""Who people are by their tokens, the same for pages, for the command line and over REST (design §11, §17).

A token names a person by its issuer and one claim, and says by its groups what they may do; it is an hour old at most where somebody acts.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from kvitt.api.people.claims import ISSUER, LOCAL_ROLES, Claims, ConsolePerson, ConsoleRole
from kvitt.api.rest.callers import Grants
from kvitt.api.rest.tokens import PATIENCE_SECONDS, Tokens, fetched_from
from kvitt.console_settings import ConsoleSettings
from kvitt.errors import NotAuthenticated, NotLoggedIn, NotPermitted, TypedName
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.operators import PersonAtIssuer
from kvitt.kernel.queries import load

_SQL: Final = load("people", "kvitt.api.people")
ROLES_LAST: Final = timedelta(hours=1)
"""How old the word of the issuer may be by which somebody acts."""


RECENTLY: Final = timedelta(minutes=5)
"""How long ago whoever approves an act about much may have proved who they are."""


def refuse_made_up_people(connection: Connection) -> None:
    """Raises TypedName where people of an issuer have logged in on this database: nobody is made up beside them, whatever is set."""
    if issuer := fetch_value(connection, _SQL.issuer_of_people, {"made_up": ISSUER}):
        raise TypedName(f"people of {issuer} act on this database: nobody is made up here, [console] issuer says who people are")


def claims_of(given: ConsoleSettings) -> Claims:
    """Which claims name a person, and which groups have which role; without an issuer those of made-up people."""
    if not given.issuer:
        return Claims("NAVident", "name", "groups", LOCAL_ROLES)
    roles = {ConsoleRole(name): groups for name, groups in given.roles.items()}
    return Claims(given.person_claim, given.name_claim, given.groups_claim, roles)


def person_of_token(given: ConsoleSettings, token: str, now: datetime) -> ConsolePerson:
    """The person of a token that the command line was given. Waits for the issuer's keys.

    Raises NotAuthenticated, NotLoggedIn for one that is too old, and IssuerUnreachable.
    """
    client_id = device_client(given)
    tokens = Tokens(given.issuer, client_id, fetched_from(given.jwks_url, given.ca_file), Grants())
    if fetch := tokens.awaited(token):
        fetch.result(PATIENCE_SECONDS)
    claims = tokens.claims(token)
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client_id:
        raise NotAuthenticated("the token is for another client (azp)")
    if not is_fresh(claims, now):
        raise NotLoggedIn("what your groups let you do was looked up too long ago: log in again (kvitt login); nothing was done")
    return claims_of(given).person_of(claims)


class PeopleOfTokens:
    """People who call with tokens of the issuer at which pages have them log in. Safe for several threads."""

    def __init__(self, tokens: Tokens, claims: Claims, issuer: str, clock: Clock) -> None:
        """`issuer` is the one by which pages know them."""
        self._tokens, self._claims, self._issuer, self._clock = tokens, claims, issuer, clock

    def person(self, authorization: str) -> ConsolePerson:
        """The person of a header, by the keys that are known now. Raises NotAuthenticated, NotPermitted for who is nobody here."""
        claims = self._tokens.claims(authorization.partition(" ")[2].strip())
        try:
            who = self._claims.person_of(claims)
        except NotAuthenticated as error:
            raise NotPermitted(str(error)) from None
        if not is_fresh(claims, self._clock()):
            raise NotPermitted("what your groups let you do was looked up too long ago: get another token")
        return replace(who, issuer=self._issuer)


def device_client(given: ConsoleSettings) -> str:
    """The client that the command line is to the issuer."""
    return given.device_client_id or given.client_id


def is_fresh(claims: Mapping[str, Any], now: datetime) -> bool:
    """Whether a token was made within the hour."""
    made = claims.get("iat")
    return isinstance(made, int | float) and now.timestamp() - made <= ROLES_LAST.total_seconds()


def need_role(who: ConsolePerson, role: ConsoleRole) -> None:
    """Raises NotPermitted unless this person has the role."""
    if role not in who.roles:
        raise NotPermitted(f"none of your groups has the role {role.value}")


def known(who: ConsolePerson) -> PersonAtIssuer:
    """The word of the issuer about somebody who acts."""
    return PersonAtIssuer(who.issuer, who.name)
