"""Who is calling: tokens are checked against their issuer's keys, and say what their application or its groups may do (design §11)."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeGuard

import jwt
from msgspec import Struct

from kvitt.doors.rest.keys import ALGORITHMS, FetchKeys, Keys
from kvitt.errors import NotAuthenticated, Undecodable
from kvitt.wire.json_members import refuse_repeated

_LEEWAY_SECONDS: Final = 30
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


def read_from(file: Path) -> FetchKeys:
    """A key set in a file, read again whenever keys are fetched anew."""

    def read() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = json.loads(file.read_bytes())
        return keys

    return read


class Tokens:
    """Checks tokens of one issuer. Safe for use by several threads; none of them ever waits for the issuer."""

    def __init__(self, issuer: str, audience: str, fetch: FetchKeys, grants: Grants) -> None:
        self._issuer, self._audience, self._grants = issuer, audience, grants
        self._keys = Keys(fetch)

    def awaited(self, token: str) -> "Future[None] | None":
        """What has to be waited for before it can be said whose token this is; None: nothing. Raises NotAuthenticated."""
        return self._keys.awaited(_key_id(token))

    def caller(self, token: str) -> Caller:
        """Who shows this token, by the keys that are known now. Raises NotAuthenticated, IssuerUnreachable."""
        key_id = _key_id(token)
        try:
            claims = jwt.decode(
                token,
                self._keys.key(key_id),
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
            raise _not_valid(error) from None
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


def _key_id(token: str) -> str:
    """The id of the key that a token says it is signed with. Raises NotAuthenticated for what can be no token here."""
    if len(token) > _LONGEST_TOKEN:
        raise NotAuthenticated("the token is too long")
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise _not_valid(error) from None
    if head.get("alg") not in ALGORITHMS:
        raise NotAuthenticated(f"the token must be signed with one of {', '.join(ALGORITHMS)}")
    return str(head.get("kid", ""))


def _not_valid(error: Exception) -> NotAuthenticated:
    # The library's texts name the rule and quote no value.
    return NotAuthenticated(f"the token is not valid: {type(error).__name__}")


def _refuse_repeated(token: str) -> None:
    """Raises Undecodable naming a claim, or a parameter of the head, that is there twice (RFC 7519 §4, RFC 7515 §4)."""
    for part in token.split(".")[:2]:
        refuse_repeated(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _is_name(claim: object) -> TypeGuard[str]:
    return isinstance(claim, str) and 1 <= len(claim) <= _LONGEST_NAME and claim.isprintable()


def _escaped(name: str) -> str:
    """Without a slash, so that no two pairs of names are one subject."""
    return name.replace("%", "%25").replace("/", "%2F")
