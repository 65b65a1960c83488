"""An OIDC issuer of a test's own: its page sends the browser back at once, and its tokens can be wrong in every way."""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from support.issuer import Issuer

ISSUER_NAME = "https://issuer"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class OidcIssuer:
    """The issuer at `url`. `claims` go into the next token, over those that are right; `answer` is said instead of one."""

    def __init__(self, url: str, keys: Issuer) -> None:
        self.url, self.keys = url, keys
        self.claims: dict[str, Any] = {}
        self.answer: tuple[int, dict[str, Any]] | None = None
        self.asked: dict[str, str] = {}
        self.exchanged: dict[str, str] = {}
        self.waits: list[str] = []
        """The errors that the next polls for a device hear, before the token."""

    def callback(self, address: str, **instead: str) -> str:
        """The path to which the browser comes back from this address of the issuer."""
        self.asked = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
        return f"/login/callback?{urlencode({'code': 'code-1', 'state': self.asked['state'], **instead})}"

    def device(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer to a device that begins a login (RFC 8628)."""
        self.asked = form
        code = {"device_code": "device-1", "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/device"}
        return self.answer or (200, {**code, "expires_in": 60, "interval": 0})

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer to a code."""
        self.exchanged = form
        if form["grant_type"] == DEVICE_GRANT:
            return self._device_token(form)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if form["code"] != "code-1" or challenge != self.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if self.answer:
            return self.answer
        return 200, {"token_type": "Bearer", "access_token": "opaque", "id_token": self.id_token(nonce=self.asked["nonce"])}

    def id_token(self, **more: Any) -> str:
        """A token of Kari, of the group `g`, and of whatever `claims` say."""
        right = {"aud": "kvitt-console", "azp": None, "NAVident": "Z990001", "name": "Kari", "groups": ["g"], "iat": datetime.now(UTC)}
        return self.keys.token(**{**right, **more, **self.claims})

    def _device_token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form["device_code"] != "device-1" or form["client_id"] != self.asked["client_id"]:
            return 400, {"error": "invalid_grant"}
        if self.waits:
            return 400, {"error": self.waits.pop(0)}
        return 200, {"token_type": "Bearer", "access_token": "opaque", "id_token": self.id_token()}


@contextmanager
def oidc_issuer(directory: Path) -> Iterator[OidcIssuer]:
    """An issuer that answers while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, json.loads(made.keys.file.read_bytes()))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: value for name, (value,) in parse_qs(body).items()}
            self._say(*(made.device(form) if self.path == "/device" else made.token(form)))

        def _say(self, status: int, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = OidcIssuer(f"http://127.0.0.1:{server.server_port}", Issuer(directory / "keys.json"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
