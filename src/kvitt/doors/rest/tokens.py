"""Who is calling: tokens are checked against their issuer's keys, and say what their application or its groups may do (design §11)."""

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeGuard

import httpx
import jwt
import structlog
from msgspec import Struct

from kvitt.errors import IssuerUnreachable, NotAuthenticated, Undecodable
from kvitt.state_log import StateLog
from kvitt.wire.json_members import refuse_repeated

_log = structlog.get_logger(__name__)
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""Only those with a public key: who can check a token must not be able to make one."""
_LEEWAY_SECONDS: Final = 30
_FRESH_SECONDS, _AGAIN_SECONDS, _PATIENCE_SECONDS = 600.0, 5.0, 5.0
_LONGEST_TOKEN: Final = 16_384
_LONGEST_NAME: Final = 255


class Permission(StrEnum):
    """What one may be allowed to do."""

    PAYOUTS_READ = "payouts:read"
    PAYOUTS_WRITE = "payouts:write"
    LEDGER_READ = "ledger:read"
    LEDGER_WRITE = "ledger:write"


class Caller(Struct, frozen=True):
    """Who calls: the application, and what it may do. `subject` keeps the idempotency keys of callers apart."""

    subject: str
    permissions: frozenset[Permission]


class Grants(Struct, frozen=True):
    """What applications and groups may do. `by_scope`: the token's own scopes count, for an issuer that is ours."""

    applications: Mapping[str, Sequence[Permission]] = {}
    groups: Mapping[str, Sequence[Permission]] = {}
    by_scope: bool = False


FetchKeys = Callable[[], Mapping[str, Any]]
"""The issuer's key set as JSON. Raises OSError or httpx errors when it can't be had."""


def fetched_from(url: str, ca_file: str = "") -> FetchKeys:
    """The key set that an issuer publishes."""

    def fetch() -> Mapping[str, Any]:
        response = httpx.get(url, timeout=_PATIENCE_SECONDS, verify=ca_file or True, trust_env=False)
        response.raise_for_status()
        keys: Mapping[str, Any] = response.json()
        return keys

    return fetch


def read_from(file: Path) -> FetchKeys:
    """A key set in a file, read again whenever keys are fetched anew."""

    def read() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = json.loads(file.read_bytes())
        return keys

    return read


class Tokens:
    """Checks tokens of one issuer. Safe for use by several threads; a look may wait for the issuer."""

    def __init__(self, issuer: str, audience: str, fetch: FetchKeys, grants: Grants) -> None:
        self._issuer, self._audience, self._grants = issuer, audience, grants
        self._keys = _Keys(fetch)

    def caller(self, token: str) -> Caller:
        """Who shows this token. Raises NotAuthenticated, IssuerUnreachable."""
        if len(token) > _LONGEST_TOKEN:
            raise NotAuthenticated("the token is too long")
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                raise NotAuthenticated(f"the token must be signed with one of {', '.join(ALGORITHMS)}")
            claims = jwt.decode(
                token,
                self._keys.key(str(head.get("kid", ""))),
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
            # The library's texts name the rule and quote no value.
            raise NotAuthenticated(f"the token is not valid: {type(error).__name__}") from None
        return self._named(claims)

    def _named(self, claims: Mapping[str, Any]) -> Caller:
        application, user = claims.get("azp") or claims.get("client_id"), claims.get("sub") or "-"
        if not _is_name(application) or not _is_name(user):
            raise NotAuthenticated(
                f"the token must name its application (azp or client_id), and its subject, in at most {_LONGEST_NAME} printable signs"
            )
        groups = claims.get("groups")
        named = [*self._grants.applications.get(application, ())]
        for group in groups if isinstance(groups, list) else ():
            named += self._grants.groups.get(str(group), ())
        if self._grants.by_scope and isinstance(scope := claims.get("scope"), str):
            named += [Permission(each) for each in scope.split() if each in set(Permission)]
        return Caller(f"{_escaped(application)}/{_escaped(user)}", frozenset(named))


def _refuse_repeated(token: str) -> None:
    """Raises Undecodable naming a claim, or a parameter of the head, that is there twice (RFC 7519 §4, RFC 7515 §4)."""
    for part in token.split(".")[:2]:
        refuse_repeated(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _is_name(claim: object) -> TypeGuard[str]:
    return isinstance(claim, str) and 1 <= len(claim) <= _LONGEST_NAME and claim.isprintable()


def _escaped(name: str) -> str:
    """Without a slash, so that no two pairs of names are one subject."""
    return name.replace("%", "%25").replace("/", "%2F")


class _Keys:
    """The issuer's keys by id, fetched anew when they are old or one is not among them, but not at every wrong token."""

    def __init__(self, fetch: FetchKeys) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -_FRESH_SECONDS
        self._states = StateLog(_log)

    def key(self, kid: str) -> jwt.PyJWK:
        found = self._keys.get(kid)
        if found is not None and time.monotonic() - self._fetched_at < _FRESH_SECONDS:
            return found
        # Who has a key does not wait for an issuer that is slow to say the same again.
        if self._lock.acquire(blocking=found is None):
            try:
                if time.monotonic() - self._tried_at >= _AGAIN_SECONDS:
                    self._refresh()
            finally:
                self._lock.release()
        if (found := self._keys.get(kid)) is None:
            if not self._keys:
                raise IssuerUnreachable("the keys of the token issuer can not be had")
            raise NotAuthenticated("the token is signed with a key that its issuer does not have")
        return found

    def _refresh(self) -> None:
        """Keeps the keys that there were when the issuer can't be reached: they are as good as its last word."""
        try:
            published = jwt.PyJWKSet.from_dict(dict(self._fetch()))
        except (OSError, httpx.HTTPError, jwt.PyJWTError, ValueError, TypeError) as error:
            name = type(error).__name__
            self._states.enters("keys", name, "warning", "keys of the token issuer can not be had", error=name)
            return
        finally:
            # After the try, for a slow one would be followed by the next at once.
            self._tried_at = time.monotonic()
        self._states.leaves("keys", "keys of the token issuer can be had again")
        self._keys = {str(key.key_id or ""): key for key in published.keys if _checks_tokens(key)}
        self._fetched_at = self._tried_at


def _checks_tokens(key: jwt.PyJWK) -> bool:
    """Whether a published key is one for signatures that others can not make."""
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
