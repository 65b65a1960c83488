"""An issuer with three made-up people to choose from, for an installation that has none; on the loopback only (design §17).

It is a real one in all that the console sees: a page to choose on, codes, PKCE, signed tokens.
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlencode

import jwt
from msgspec import Struct

from kvitt.api.people.claims import ISSUER, ConsoleRole
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.api.rest.tokens import ALGORITHMS
from kvitt.errors import NotAuthenticated

AUTHORIZE, CHOSEN, TOKEN = "/local/authorize", "/local/chosen", "/local/token"
_CODES: Final = "kvitt-local-codes"
_CODE_LASTS, _TOKEN_LASTS = timedelta(seconds=60), timedelta(minutes=5)


class MadeUpPerson(Struct, frozen=True):
    """A person who is nobody."""

    person: str
    name: str
    roles: Sequence[ConsoleRole]


PEOPLE: Final = (
    MadeUpPerson("L100001", "Live Lesar", (ConsoleRole.LOOK,)),
    MadeUpPerson("H100002", "Hans Handling", (ConsoleRole.LOOK, ConsoleRole.ACT, ConsoleRole.PERSONS)),
    MadeUpPerson("G100003", "Guro Godkjenner", tuple(ConsoleRole)),
)
"""One who looks, and two who can act together."""


class LocalPeople:
    """The issuer: it gives a code to who has chosen, and a token for a code."""

    def __init__(self, issuer: LocalIssuer, client_id: str, redirect_url: str) -> None:
        self._issuer, self._client_id, self._redirect_url = issuer, client_id, redirect_url

    def asked(self, said: Mapping[str, str]) -> Mapping[str, str]:
        """The request of the console, if it is this console. Raises NotAuthenticated."""
        wanted = {
            "client_id": self._client_id,
            "redirect_uri": self._redirect_url,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        if any(said.get(name) != value for name, value in wanted.items()) or not said.get("code_challenge"):
            raise NotAuthenticated("this is no login of this console")
        return {name: said.get(name, "") for name in (*wanted, "state", "nonce", "code_challenge")}

    def chosen(self, said: Mapping[str, str]) -> str:
        """The address to which the browser takes the code of the person that was chosen. Raises NotAuthenticated."""
        asked = self.asked(said)
        if said.get("person") not in {each.person for each in PEOPLE}:
            raise NotAuthenticated("there is nobody of that name")
        code = {"iss": ISSUER, "aud": _CODES, "person": said["person"], "nonce": asked["nonce"], "challenge": asked["code_challenge"]}
        answer = {"code": self._issuer.signed(code, _CODE_LASTS), "state": asked["state"], "iss": ISSUER}
        return f"{self._redirect_url}?{urlencode(answer)}"

    def token(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer to a code with its verifier. Raises NotAuthenticated."""
        code = self._code(form.get("code", ""))
        challenge = urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if form.get("redirect_uri") != self._redirect_url or not hmac.compare_digest(challenge, str(code["challenge"])):
            raise NotAuthenticated("the code is of another login")
        (chosen,) = [each for each in PEOPLE if each.person == code["person"]]
        claims = {
            "iss": ISSUER,
            "aud": self._client_id,
            "azp": self._client_id,
            "sub": chosen.person,
            "nonce": code["nonce"],
            "NAVident": chosen.person,
            "name": chosen.name,
            "groups": [role.value for role in chosen.roles],
            "auth_time": int(time.time()),
        }
        token = self._issuer.signed(claims, _TOKEN_LASTS)
        return {"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": int(_TOKEN_LASTS.total_seconds())}

    def _code(self, code: str) -> Mapping[str, Any]:
        (key,) = jwt.PyJWKSet.from_dict(dict(self._issuer.keys())).keys
        try:
            claims: Mapping[str, Any] = jwt.decode(code, key, algorithms=list(ALGORITHMS), audience=_CODES, issuer=ISSUER)
        except jwt.PyJWTError:
            raise NotAuthenticated("this is no code, or an old one") from None
        return claims


def is_loopback(host: str) -> bool:
    """Whether an address is one that only this machine has."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
