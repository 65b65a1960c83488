"""The issuer's keys: fetched by one thread at a time, in the background; who has a known key never waits for it (design §11)."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import httpx
import jwt
import structlog

from kvitt.errors import IssuerUnreachable, NotAuthenticated
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""Only those with a public key: who can check a token must not be able to make one."""
_FRESH_SECONDS, _AGAIN_SECONDS = 600.0, 5.0
PATIENCE_SECONDS: Final = 5.0
"""How long one waits for keys that are being fetched, and how long a fetch may take."""
_MOST_BYTES: Final = 1_048_576

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


class Keys:
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


def _checks_tokens(key: jwt.PyJWK) -> bool:
    """Whether a published key is one for signatures that others can not make."""
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
