"""An issuer of a test's own, whose tokens can be wrong in every way."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER, AUDIENCE = "https://issuer", "kvitt"
HOUR = timedelta(hours=1)


@cache
def own_key() -> rsa.RSAPrivateKey:
    """The key of every issuer of a test run; a key takes long to make."""
    return rsa.generate_private_key(65537, 2048)


ANOTHERS_KEY = rsa.generate_private_key(65537, 2048)
"""One that is in no issuer's set."""


class Issuer:
    """An issuer with a key set in a file."""

    def __init__(self, file: Path) -> None:
        self.key = own_key()
        self.file = file
        self.publish("one")

    def publish(self, kid: str) -> None:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        self.file.write_text(json.dumps({"keys": [{**public, "kid": kid}]}), "utf-8")

    def token(self, *, algorithm: str = "RS256", kid: str = "one", key: Any = None, **claims: Any) -> str:
        """A token with these claims; None: without one that is usual."""
        usual = {"iss": ISSUER, "aud": AUDIENCE, "azp": "shop-admin", "exp": datetime.now(UTC) + HOUR}
        published = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(published, key or self.key, algorithm=algorithm, headers={"kid": kid})


WRONG_TOKENS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://other"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "other"},
    "no audience": {"aud": None},
    "out of date": {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
    "never out of date": {"exp": None},
    "not yet": {"nbf": datetime(2999, 1, 1, tzinfo=UTC)},
    "nobody's": {"azp": None, "azp_name": None},
    "no name": {"azp": 7},
    "unknown key": {"kid": "two"},
    "no key": {"kid": ""},
    "another's key": {"key": ANOTHERS_KEY},
    "a secret": {"algorithm": "HS256", "key": "secret" * 8},
    "another hash": {"algorithm": "RS512"},
    "person and machine": {"NAVident": "Z990001", "roles": ["access_as_application"]},
    "no person": {"NAVident": ""},
}
"""Claims and signatures of tokens that let nobody in anywhere."""
