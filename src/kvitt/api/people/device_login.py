"""Logs people in where there is no browser: they type a code at their issuer, wherever they have one (RFC 8628, design §11)."""

import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
from msgspec import Struct, ValidationError, convert

from kvitt.api.people.identity import device_client
from kvitt.api.rest.tokens import PATIENCE_SECONDS
from kvitt.console_settings import ConsoleSettings
from kvitt.errors import BadSettings, IssuerUnreachable, LoginRefused

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_PENDING, _SLOWER = "authorization_pending", "slow_down"
_SLOWER_BY, _LEAST_WAIT, _LONGEST_WAIT = 5.0, 0.1, 900.0
"""Seconds."""
_REFUSED: Final = {"access_denied": "the login was refused at the issuer", "expired_token": "nobody typed the code in time"}


class DeviceCode(Struct, frozen=True):
    """A code that a person types, and where; `expires_in` and `interval` are seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float
    verification_uri_complete: str | None = None
    interval: float = 5.0


def begin(given: ConsoleSettings) -> DeviceCode:
    """A login under way. Raises BadSettings, LoginRefused, IssuerUnreachable."""
    if not given.device_url:
        raise BadSettings("[console] device_url: people log in there; a token from elsewhere is taken in KVITT_TOKEN or by --token-file")
    said = _asked(given, given.device_url, {"scope": given.scope})
    if "error" in said:
        raise LoginRefused("the issuer begins no login for this client")
    try:
        return convert(said, DeviceCode, strict=False)
    except ValidationError:
        raise LoginRefused("the issuer does not say what code to type, and where") from None


def token_of(given: ConsoleSettings, code: DeviceCode) -> str:
    """The ID token of whoever types the code. Waits for that. Raises LoginRefused, IssuerUnreachable."""
    until, wait = time.monotonic() + min(code.expires_in, _LONGEST_WAIT), max(code.interval, _LEAST_WAIT)
    while time.monotonic() < until:
        time.sleep(wait)
        said = _asked(given, given.token_url, {"grant_type": _GRANT, "device_code": code.device_code})
        if isinstance(token := said.get("id_token"), str):
            return token
        error = said.get("error")
        if error not in (_PENDING, _SLOWER):
            raise LoginRefused(_why(said))
        wait += _SLOWER_BY if error == _SLOWER else 0.0
    raise LoginRefused(_REFUSED["expired_token"])


def _why(said: Mapping[str, Any]) -> str:
    """The reason why an issuer gave no token, in words."""
    error = said.get("error")
    if error is None:
        return "the issuer gave no ID token: is openid among the scopes?"
    return _REFUSED.get(str(error), f"the issuer gives no token to this client ({error})")


def _asked(given: ConsoleSettings, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer to a form, whatever its status. Raises IssuerUnreachable for what is no answer of an issuer."""
    about = {**form, "client_id": device_client(given)}
    try:
        said = httpx.post(url, data=about, timeout=PATIENCE_SECONDS, verify=given.ca_file or True, trust_env=False).json()
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise IssuerUnreachable("the issuer does not answer") from error
    if not isinstance(said, dict):
        raise IssuerUnreachable("the issuer does not answer")
    return said
