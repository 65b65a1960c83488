"""Logs people in at their issuer: authorization code with PKCE, where state, nonce and verifier never leave the store (design §11, §17).

The issuer's token is looked at once, and kept nowhere: what it says of a person stands in their session.
"""

import hmac
import warnings
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import structlog
from msgspec import Struct

from kvitt.api.console.sessions import BegunLogin, LoginUnderWay, Sessions
from kvitt.api.people.claims import Claims, ConsolePerson
from kvitt.api.people.identity import RECENTLY
from kvitt.api.rest.tokens import PATIENCE_SECONDS, Tokens
from kvitt.errors import IssuerUnreachable, NotAuthenticated

_log = structlog.get_logger(__name__)
CALLBACK: Final = "/login/callback"
_AGAIN: Final = "begin the login anew"


class ClientTerms(Struct, frozen=True):
    """The console as its issuer knows it, and the issuer's addresses."""

    issuer: str
    client_id: str
    client_secret: str
    authorize_url: str
    token_url: str
    scope: str
    redirect_url: str
    ca_file: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"ClientTerms(issuer={self.issuer!r}, client_id={self.client_id!r})"


class Logins:
    """Logins from beginning to end. Works on threads; safe for several."""

    def __init__(self, terms: ClientTerms, tokens: Tokens, claims: Claims, sessions: Sessions) -> None:
        self._terms, self._tokens, self._claims, self._sessions = terms, tokens, claims, sessions

    def begin(self, next_path: str, *, anew: bool = False) -> tuple[BegunLogin, str]:
        """A login under way, and the address at the issuer that goes on with it.

        `anew`: whoever it is proves it again, unless they have done so within minutes.
        """
        wanted = {"max_age": int(RECENTLY.total_seconds())} if anew else {}
        begun = self._sessions.begin_login(own_path(next_path))
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._terms.authorize_url,
                state=begun.state,
                nonce=begun.nonce,
                code_verifier=begun.verifier,
                response_mode="query",
                **wanted,
            )
        return begun, str(address)

    def end(self, browser: str | None, said: Mapping[str, str]) -> tuple[ConsolePerson, str]:
        """Who has logged in, and the path to go on to; `said` is what the issuer had the browser say. Raises NotAuthenticated."""
        login = self._sessions.take_login(browser, said.get("state", ""))
        if login is None:
            raise NotAuthenticated(f"this browser has begun no login, or too long ago: {_AGAIN}")
        if said.get("iss", self._terms.issuer) != self._terms.issuer:
            raise NotAuthenticated(f"another issuer has answered: {_AGAIN}")
        if "error" in said or not said.get("code"):
            raise NotAuthenticated(f"the issuer let nobody in: {_AGAIN}")
        return self._claims.person_of(self._checked(self._exchanged(said["code"], login), login)), login.next_path

    def _client(self) -> Any:
        # Imported here: it takes a while to load, and nobody may ever log in.
        import authlib.deprecate

        with warnings.catch_warnings():
            # It says that it would rather use a newer client of HTTP than ours, whenever it is loaded.
            warnings.simplefilter("ignore", authlib.deprecate.AuthlibDeprecationWarning)
            from authlib.integrations.httpx_client import OAuth2Client

        terms = self._terms
        return OAuth2Client(
            terms.client_id,
            terms.client_secret or None,
            scope=terms.scope,
            redirect_uri=terms.redirect_url,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if terms.client_secret else "none",
            timeout=PATIENCE_SECONDS,
            verify=terms.ca_file or True,
            trust_env=False,
        )

    def _exchanged(self, code: str, login: LoginUnderWay) -> str:
        """The ID token for a code. Raises NotAuthenticated, IssuerUnreachable."""
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._client() as client:
                answer = client.fetch_token(self._terms.token_url, grant_type="authorization_code", code=code, code_verifier=login.verifier)
        except (AuthlibBaseError, ValueError, httpx.HTTPError) as error:
            # A status that is the caller's fault, with an answer that is no JSON, is a no as well.
            said_no = not isinstance(error, httpx.HTTPError) or (
                isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error
            )
            if not said_no:
                raise IssuerUnreachable("the issuer does not answer") from error
            _log.warning("an issuer gave no token for a code", error=type(error).__name__)
            raise NotAuthenticated(f"the issuer gave no token: {_AGAIN}") from None
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotAuthenticated("the issuer gave no ID token: is openid among the scopes?")
        return token

    def _checked(self, token: str, login: LoginUnderWay) -> Mapping[str, Any]:
        """The claims of an ID token that is for this console, and for this login. Raises NotAuthenticated, IssuerUnreachable."""
        if fetch := self._tokens.awaited(token):
            fetch.result(PATIENCE_SECONDS)
        claims = self._tokens.claims(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), login.nonce.encode()):
            raise NotAuthenticated(f"the token is of another login: {_AGAIN}")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._terms.client_id) != self._terms.client_id:
            raise NotAuthenticated("the token is for another client (azp)")
        return claims


def own_path(path: str) -> str:
    """The path, if it is one of this console and of nobody else; else that of the first page."""
    parts = urlsplit(path)
    fits = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if fits and path.isprintable() and path.isascii() and not path.startswith("/login") else "/"


def said_in(query: bytes) -> Mapping[str, str]:
    """The names and values of a query, each name once. Raises NotAuthenticated for one that says a thing twice."""
    said = parse_qs(query.decode("ascii", "replace"), max_num_fields=20)
    if any(len(values) > 1 for values in said.values()):
        raise NotAuthenticated(f"the answer of the issuer says something twice: {_AGAIN}")
    return {name: value for name, (value,) in said.items()}
