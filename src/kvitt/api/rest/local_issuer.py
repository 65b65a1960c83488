"""A token issuer for an installation that has none: a key in the data directory signs, and its public half lets in (design §11)."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from msgspec import Struct

from kvitt.api.rest.callers import APPROVER_SCOPE, MACHINE_ROLE, SCHEME_SCOPE, Permission
from kvitt.disbursement.values import Scheme

ISSUER: Final = "kvitt-local"
_FILE, _KID, _ALGORITHM = "tokens.pem", "local", "EdDSA"


class Behind(Struct, frozen=True):
    """Who is behind an application's call: a person with groups, who may be an approver; or the application itself, as a machine."""

    person: str | None = None
    groups: Sequence[str] = ()
    approver_of: Sequence[Scheme] = ()
    machine: bool = False

    def claims(self) -> Mapping[str, Any]:
        """The claims that say so."""
        said = {"NAVident": self.person, "groups": [*self.groups], "roles": [MACHINE_ROLE] if self.machine else []}
        return {name: value for name, value in said.items() if value}


NOBODY: Final = Behind()


class LocalIssuer:
    """Signs tokens with the key of a data directory, which is made when there is none, for its owner alone to read."""

    def __init__(self, data: Path) -> None:
        self._file = data / _FILE
        self._key = self._load() or self._make()

    def token(
        self,
        application: str,
        permissions: Sequence[Permission],
        audience: str,
        lasts: timedelta,
        schemes: Sequence[Scheme] = (),
        *,
        behind: Behind = NOBODY,
    ) -> str:
        """A token that lets `application` do so much for so long, and touch these schemes, with this person or nobody behind it."""
        approves = [f"{APPROVER_SCOPE}{scheme}" for scheme in behind.approver_of]
        scope = " ".join([*permissions, *(f"{SCHEME_SCOPE}{scheme}" for scheme in schemes), *approves])
        claims = {"iss": ISSUER, "aud": audience, "azp": application, "azp_name": application, "scope": scope, **behind.claims()}
        claims["sub"] = behind.person or application
        return self.signed(claims, lasts)

    def signed(self, claims: Mapping[str, Any], lasts: timedelta) -> str:
        """A token with these claims, valid from now on for so long."""
        now = datetime.now(UTC)
        until = {"iat": now, "nbf": now, "exp": now + lasts}
        return jwt.encode({**claims, **until}, self._key, algorithm=_ALGORITHM, headers={"kid": _KID})

    def keys(self) -> Mapping[str, Any]:
        """The key set that checks these tokens."""
        public = json.loads(jwt.get_algorithm_by_name(_ALGORITHM).to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": _KID, "alg": _ALGORITHM, "use": "sig"}]}

    def _load(self) -> Ed25519PrivateKey | None:
        try:
            key = load_pem_private_key(self._file.read_bytes(), None)
        except FileNotFoundError:
            return None
        assert isinstance(key, Ed25519PrivateKey), "the file is ours"
        return key

    def _make(self) -> Ed25519PrivateKey:
        """Whole or not at all, and whoever is first makes it: several processes may start together."""
        made = Ed25519PrivateKey.generate()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_name(f".{_FILE}.{uuid4().hex}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            output.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            os.link(draft, self._file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return self._load() or made
