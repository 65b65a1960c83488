"""Checks tokens against their issuer's keys, and remembers for a while whose they are (design §11)."""

import hashlib
import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import jwt
import structlog
from jwt.types import Options

from kvitt.api.rest.callers import Caller, Grants, who_tries
from kvitt.errors import IssuerUnreachable, NotAuthenticated, Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""Only those with a public key: who can check a token must not be able to make one."""
_FRESH_SECONDS, _AGAIN_SECONDS = 600.0, 5.0
PATIENCE_SECONDS: Final = 5.0
"""The longest wait for keys that are being fetched, and the longest fetch."""
_MOST_BYTES: Final = 1_048_576
_LEEWAY_SECONDS: Final = 30
_LONGEST_TOKEN: Final = 16_384
_REMEMBERED: Final = 4096
"""Tokens whose callers are known without checking them again."""
_ANY_CLAIMS: Final[Options] = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False}

FetchKeys = Callable[[], Mapping[str, Any]]
"""The issuer's key set as JSON. Raises OSError, ValueError or httpx errors when it can't be had."""


def fetched_from(url: str, ca_file: str = "") -> FetchKeys:
    """The key set that an issuer publishes; it has a few seconds for all of it, and says no more than a key set can be."""

    def fetch() -> Mapping[str, Any]:
        body, until = bytearray(), time.monotonic() + PATIENCE_SECONDS
        with httpx.stream("GET", url, timeout=PATIENCE_SECONDS, verify=ca_file or True, trust_env=False) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES or time.monotonic() > until:
                    raise TimeoutError("the key set is too long, or too slow")
        keys: Mapping[str, Any] = httpx.Response(200, content=bytes(body)).json()
        return keys

    return fetch


def read_from(file: Path) -> FetchKeys:
    """A key set in a file, read again whenever keys are fetched anew."""

    def read() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = json.loads(file.read_bytes())
        return keys

    return read


class IssuerKeys:
    """Keys by id, fetched anew when they are old or one is not among them, but not at every wrong token. Safe for several threads."""

    def __init__(self, fetch: FetchKeys) -> None:
        self._fetch = fetch
        self._states = StateLog(_log)
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -_FRESH_SECONDS
        self._under_way: Future[None] | None = None

    def awaited(self, kid: str) -> "Future[None] | None":
        """The fetch that may bring a key that is not known; None for one that is, or that was not there a moment ago.

        Keys that are old are fetched in the background, and serve until then: they are as good as the issuer's last word.
        """
        known, now = kid in self._keys, time.monotonic()
        if known and now - self._fetched_at < _FRESH_SECONDS:
            return None
        with self._lock:
            if self._under_way is None and now - self._tried_at >= _AGAIN_SECONDS:
                self._under_way = Future()
                threading.Thread(target=self._refresh, args=(self._under_way,), name="issuer keys", daemon=True).start()
            return None if kid in self._keys else self._under_way

    def key(self, kid: str) -> jwt.PyJWK:
        """A key that is known. Raises NotAuthenticated, and IssuerUnreachable where nothing is known yet."""
        if (found := self._keys.get(kid)) is None:
            if not self._keys:
                raise IssuerUnreachable("the keys of the token issuer can not be had")
            raise NotAuthenticated("the token is signed with a key that its issuer does not have")
        return found

    def has(self, kid: str, key: jwt.PyJWK) -> bool:
        """Whether this very key is still among them; one that was fetched anew is another one."""
        return self._keys.get(kid) is key

    def _refresh(self, under_way: "Future[None]") -> None:
        try:
            published = jwt.PyJWKSet.from_dict(dict(self._fetch()))
            self._keys = {str(key.key_id or ""): key for key in published.keys if _checks_tokens(key)}
            self._fetched_at = time.monotonic()
        except (OSError, httpx.HTTPError, jwt.PyJWTError, ValueError, TypeError) as error:
            name = type(error).__name__
            self._states.enters("keys", name, "warning", "keys of the token issuer can not be had", error=name)
        else:
            self._states.leaves("keys", "keys of the token issuer can be had again")
        finally:
            with self._lock:
                # After the try, for a slow one would be followed by the next at once.
                self._tried_at, self._under_way = time.monotonic(), None
            under_way.set_result(None)


class Tokens:
    """Checks tokens of one issuer. Safe for use by several threads; none of them ever waits for the issuer."""

    def __init__(self, issuer: str, audience: str, fetch: FetchKeys, grants: Grants) -> None:
        self._issuer, self._audience, self._grants = issuer, audience, grants
        self._keys = IssuerKeys(fetch)
        self._remembered = _RememberedCallers()

    def awaited(self, token: str) -> "Future[None] | None":
        """The fetch to wait for before it can be said whose token this is; None: there is none. Raises NotAuthenticated."""
        return self._keys.awaited(_key_id(token))

    def caller(self, token: str) -> Caller:
        """Checks a token by the keys that are known now, and returns its caller. Raises NotAuthenticated, IssuerUnreachable."""
        key_id = _key_id(token)
        key = self._keys.key(key_id)
        claims = self._checked(token, key)
        try:
            caller = self._grants.caller(claims)
        except NotAuthenticated as error:
            raise NotAuthenticated(str(error), *who_tries(claims)) from None
        self._remembered.add(token, RememberedCaller(caller, key_id, key, int(claims["exp"]) + _LEEWAY_SECONDS))
        return caller

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that is valid here, by the keys that are known now. Raises NotAuthenticated, IssuerUnreachable."""
        return self._checked(token, self._keys.key(_key_id(token)))

    def remembered(self, token: str) -> Caller | None:
        """The caller of a token that was checked before, by a key that its issuer still has, and is still valid."""
        known = self._remembered.get(token)
        if known is None or time.time() >= known.until or not self._keys.has(known.key_id, known.key):
            return None
        self._keys.awaited(known.key_id)
        return known.caller

    def _checked(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        """The claims of a token that is valid here. Raises NotAuthenticated; of one that its issuer signed, with who shows it."""
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
            _refuse_repeated(token)
        except Undecodable as repeated:
            raise NotAuthenticated(f"the token is not valid: {repeated}") from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise NotAuthenticated(_not_valid(error), *_who_shows(token, key)) from None
        return claims


class RememberedCaller(NamedTuple):
    """A caller whose token was checked by this key, and is valid until this second."""

    caller: Caller
    key_id: str
    key: jwt.PyJWK
    until: float


class _RememberedCallers:
    """Callers by the digests of their tokens; of too many the oldest are forgotten. Safe for several threads."""

    def __init__(self) -> None:
        self._known: dict[bytes, RememberedCaller] = {}
        self._lock = threading.Lock()

    def get(self, token: str) -> RememberedCaller | None:
        return self._known.get(_digest(token))

    def add(self, token: str, known: RememberedCaller) -> None:
        with self._lock:
            self._known[_digest(token)] = known
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _who_shows(token: str, key: jwt.PyJWK) -> tuple[str | None, str | None]:
    """Who is named by a token that is not valid here, if its issuer has signed it; else nobody is."""
    try:
        return who_tries(jwt.decode(token, key, algorithms=list(ALGORITHMS), options=_ANY_CLAIMS))
    except (jwt.PyJWTError, ValueError, TypeError):
        return None, None


def _checks_tokens(key: jwt.PyJWK) -> bool:
    """Whether a published key is one for signatures that others can not make."""
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")


def _key_id(token: str) -> str:
    """The id of the key that a token says it is signed with. Raises NotAuthenticated for what can be no token here."""
    if len(token) > _LONGEST_TOKEN:
        raise NotAuthenticated("the token is too long")
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise NotAuthenticated(_not_valid(error)) from None
    if head.get("alg") not in ALGORITHMS:
        raise NotAuthenticated(f"the token must be signed with one of {', '.join(ALGORITHMS)}")
    return str(head.get("kid", ""))


def _not_valid(error: Exception) -> str:
    # The library's texts name the rule and quote no value.
    return f"the token is not valid: {type(error).__name__}"


def _refuse_repeated(token: str) -> None:
    """Raises Undecodable naming a claim, or a parameter of the head, that is there twice (RFC 7519 §4, RFC 7515 §4)."""
    for part in token.split(".")[:2]:
        refuse_repeated(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
