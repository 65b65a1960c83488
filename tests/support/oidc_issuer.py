"""An OIDC issuer of a test's own: its page sends the browser back at once, and its tokens can be wrong in every way."""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from support.issuer import Issuer

ISSUER_NAME = "https://issuer"


class OidcIssuer:
    """The issuer at `url`. `claims` go into the next token, over those that are right; `answer` is said instead of one."""

    def __init__(self, url: str, keys: Issuer) -> None:
        self.url, self.keys = url, keys
        self.claims: dict[str, Any] = {}
        self.answer: tuple[int, dict[str, Any]] | None = None
        self.asked: dict[str, str] = {}
        self.exchanged: dict[str, str] = {}

    def callback(self, address: str, **instead: str) -> str:
        """The path to which the browser comes back from this address of the issuer."""
        self.asked = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
        return f"/login/callback?{urlencode({'code': 'code-1', 'state': self.asked['state'], **instead})}"

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer to a code."""
        self.exchanged = form
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if form["code"] != "code-1" or challenge != self.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if self.answer:
            return self.answer
        right = {"aud": "kvitt-console", "azp": None, "nonce": self.asked["nonce"], "NAVident": "Z990001", "name": "Kari", "groups": ["g"]}
        return 200, {"token_type": "Bearer", "access_token": "opaque", "id_token": self.keys.token(**{**right, **self.claims})}


@contextmanager
def oidc_issuer(directory: Path) -> Iterator[OidcIssuer]:
    """An issuer that answers while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, json.loads(made.keys.file.read_bytes()))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._say(*made.token({name: value for name, (value,) in parse_qs(body).items()}))

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
