"""Requests that come twice, where it matters who asks, what broke off, and how far the first one came (design §11, §12)."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kvitt.api.rest import gate, tokens
from kvitt.api.rest.callers import Grants, Permission
from kvitt.api.rest.local_issuer import ISSUER, LocalIssuer
from kvitt.api.rest.payouts import PayoutCalls
from kvitt.api.rest.problems import ProblemForms
from kvitt.api.rest.routes import RouteWork
from kvitt.api.rest.tokens import Tokens
from kvitt.errors import NotAuthenticated, PayoutInProgress
from kvitt.kernel.actor import Actor
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.requests import Begun
from kvitt.payouts.model import Cash, NewPayout, PayoutCommand
from kvitt.settings import RestSettings
from support.patience import PATIENCE_SECONDS, until
from support.rest_stage import AUDIENCE, Site, caller_of, earn, rest_site

RUB = {"currency": "RUB"}


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    earn(ledger_database)
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer"))) as made:
        yield made


def kept(site: Site, key: str) -> int:
    with connect(site.conninfo) as connection:
        ((number,),) = connection.execute("SELECT count(*) FROM rest.requests WHERE key = %s", (key,)).fetchall()
    return int(number)


def test_the_answer_of_before_is_only_for_who_may_ask_for_it(site: Site) -> None:
    """The same application with a token that may less hears nothing of what it did with another."""
    key = {"idempotency-key": "weaker"}
    with site.client() as client:
        assert client.post("/accounts", json=RUB, headers=key).status_code == 201
    with site.client(Permission.LEDGER_READ) as reader:
        assert reader.post("/accounts", json=RUB, headers=key).status_code == 403


def test_blanks_around_a_key_are_none_of_it(site: Site) -> None:
    with site.client() as client:
        made = client.post("/accounts", json=RUB, headers={"idempotency-key": "blanks"})
    headers = {"content-type": "application/json", "idempotency-key": " blanks \t", "authorization": made.request.headers["authorization"]}
    address = httpx.URL(site.url)
    with closing(HTTPConnection(address.host, address.port, timeout=PATIENCE_SECONDS)) as caller:
        caller.request("POST", "/accounts", made.request.content, headers)
        answer = caller.getresponse()
        assert answer.getheader("idempotency-replayed") == "true"
        assert json.loads(answer.read()) == made.json()


def test_what_can_not_be_done_at_all_leaves_its_key_free(site: Site) -> None:
    key = {"idempotency-key": "mended"}
    with site.client(Permission.LEDGER_READ) as reader:
        assert reader.post("/accounts", json=RUB, headers=key).status_code == 403
    with site.client() as client:
        assert client.post("/accounts", json={}, headers=key).status_code == 400
        assert client.post("/nowhere", json=RUB, headers=key).status_code == 404
        assert kept(site, "mended") == 0
        assert client.post("/accounts", json=RUB, headers=key).status_code == 201


def test_a_request_that_broke_off_is_not_taken_for_what_it_would_have_been(site: Site) -> None:
    host, port = httpx.URL(site.url).host, httpx.URL(site.url).port
    head = f"POST /accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {site.token()}\r\nidempotency-key: broke-off\r\n"
    with closing(socket.create_connection((host, port or 0))) as caller:
        caller.sendall(f"{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n".encode() + b'{"currency": "RUB"}')
        caller.shutdown(socket.SHUT_WR)
        caller.settimeout(PATIENCE_SECONDS)
        while caller.recv(4096):
            pass
    assert kept(site, "broke-off") == 0
    with site.client() as client:
        assert client.post("/accounts", json=RUB, headers={"idempotency-key": "broke-off"}).status_code == 201


class _BeingMade:
    """Payouts at another's ledger, where a first call is at work under the id: there is no payout yet."""

    def submit(self, _: PayoutCommand) -> None:
        """It takes a thread."""

    def create(self, _: NewPayout, *, actor: Actor) -> Any:  # noqa: ARG002 - as Payouts has it
        raise PayoutInProgress("it is being made")


def test_a_payout_that_is_still_being_made_at_another_ledger_asks_to_come_again() -> None:
    wanted = NewPayout("party-1", "shop-1", Cash(1, "RUB"), "p")
    with ThreadPoolExecutor(1) as threads:
        calls = PayoutCalls(_BeingMade(), RouteWork(threads))  # type: ignore[arg-type]
        with pytest.raises(PayoutInProgress) as raised:
            asyncio.run(calls.created(wanted, Begun(utc_now(), True), Actor("rest", "tests")))
    status, published = ProblemForms({}).answered("/payouts", raised.value, {})
    assert (status, published.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("application", ["a\0b", "x" * 256, "line\nbreak"])
def test_names_that_can_not_be_kept_let_nobody_in(site: Site, application: str) -> None:
    with site.client(application=application) as client:
        response = client.get("/accounts")
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_a_key_that_is_no_public_one_checks_no_token(tmp_path: Path) -> None:
    """Whoever reads a key set could sign with a secret in it."""
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"
    keys = {"keys": [{"kty": "oct", "k": secret, "kid": "one", "alg": "HS256"}, *LocalIssuer(tmp_path).keys()["keys"]]}
    tokens = Tokens(ISSUER, AUDIENCE, lambda: keys, Grants(by_scope=True))
    forged = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "azp": "a", "exp": 4e9}, "secret" * 8, algorithm="HS256", headers={"kid": "one"})
    with pytest.raises(NotAuthenticated):
        caller_of(tokens, forged)


@contextmanager
def hanging_issuer(issuer: LocalIssuer) -> Iterator[tuple[str, Callable[[], int]]]:
    """An issuer that publishes its keys once; whoever asks again hears nothing. Gives its address, and how often it was asked."""
    asked, over = count(1), threading.Event()
    times = 0

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal times
            times = next(asked)
            if times > 1:
                over.wait(PATIENCE_SECONDS)
            body = json.dumps(issuer.keys()).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks", lambda: times
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_who_has_a_key_does_not_wait_for_an_issuer_that_never_answers(
    ledger_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are old, and others come with keys that nobody knows: more of them than there are threads."""
    issuer = LocalIssuer(tmp_path)
    with (
        hanging_issuer(issuer) as (url, asked),
        rest_site(
            ledger_database, tmp_path, settings=RestSettings(issuer=ISSUER, jwks_url=url, applications={"tests": list(Permission)})
        ) as site,
        site.client() as client,
    ):
        assert client.get("/accounts").status_code == 200
        monkeypatch.setattr(tokens, "_FRESH_SECONDS", 0.0)
        monkeypatch.setattr(tokens, "_AGAIN_SECONDS", 0.0)
        monkeypatch.setattr(tokens, "PATIENCE_SECONDS", PATIENCE_SECONDS)
        monkeypatch.setattr(gate, "PATIENCE_SECONDS", PATIENCE_SECONDS)
        stranger = jwt.encode({"azp": "a"}, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": "stranger"})
        address = httpx.URL(site.url)
        with ExitStack() as opened:
            for _ in range(40):
                connection = opened.enter_context(socket.create_connection((address.host, address.port or 80)))
                connection.sendall(f"GET /accounts HTTP/1.1\r\nHost: kvitt\r\nAuthorization: Bearer {stranger}\r\n\r\n".encode())
            until(lambda: asked() == 2, what="the issuer was not asked for the stranger's key")
            for _ in range(20):
                assert client.get("/accounts").status_code == 200
            assert asked() == 2, "one fetch at a time"
