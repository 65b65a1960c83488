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

from kvitt.api.rest.callers import SCHEME_SCOPE, Permission
from kvitt.disbursement.values import Scheme

ISSUER: Final = "kvitt-local"
_FILE, _KID, _ALGORITHM = "tokens.pem", "local", "EdDSA"


class LocalIssuer:
    """Signs tokens with the key of a data directory, which is made when there is none, for its owner alone to read."""

    def __init__(self, data: Path) -> None:
        self._file = data / _FILE
        self._key = self._load() or self._make()

    def token(
        self, application: str, permissions: Sequence[Permission], audience: str, lasts: timedelta, schemes: Sequence[Scheme] = ()
    ) -> str:
        """A token that lets `application` do so much for so long, and touch these schemes."""
        now = datetime.now(UTC)
        scope = " ".join([*permissions, *(f"{SCHEME_SCOPE}{scheme}" for scheme in schemes)])
        claims = {"iss": ISSUER, "aud": audience, "azp": application, "azp_name": application, "sub": application, "scope": scope}
        return jwt.encode(claims | {"iat": now, "nbf": now, "exp": now + lasts}, self._key, algorithm=_ALGORITHM, headers={"kid": _KID})

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
