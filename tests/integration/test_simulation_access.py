"""Calls to the rail's simulation carry tokens that are fetched when they are needed, and certificates are shown and wanted."""

import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from kvitt.disbursement.simulation import (
    FailureReason,
    Simulation,
    SimulationFailure,
)
from kvitt.rails.oppdrag.simulation import SimulationAccess, SimulationClient
from support.patience import PATIENCE_SECONDS, until
from support.simulation_client import ANSWER, OPEN, QUESTION, REFUSED, ask, reason_of
from support.simulation_server import (
    ISSUER,
    SIMULATION,
    STS,
    Act,
    ScriptedServer,
    assertion,
    goes_on,
    hangs_up,
    passes,
    saml,
    says,
    scripted_server,
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


def test_a_call_carries_the_assertion_and_the_token_for_the_proxy_and_fetches_each_once(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [ANSWER], STS: [saml("one"), saml("two")], ISSUER: [passes("p1"), passes("p2")]}
    client = SimulationClient(server.access(tokens=True))
    try:
        done, _ = wait([client.ask(QUESTION) for _ in range(8)], PATIENCE_SECONDS)
        assert [type(each.result().outcome) for each in done] == [Simulation] * 8
    finally:
        client.close()
    (of_issuer,), (of_sts,) = server.to(ISSUER), server.to(STS)
    assert of_issuer.body == b"grant_type=client_credentials&client_id=kvitt&client_secret=s%C3%A6cret&scope=api%3A%2F%2Fproxy%2F.default"
    assert of_sts.headers["authorization"] == "Basic c3J2a3ZpdHQ6c8OmY3JldA=="
    assert of_sts.headers["x-proxy-authorization"] == "Bearer p1"
    for got in server.to(SIMULATION):
        assert got.headers["x-proxy-authorization"] == "Bearer p1"
        assert b'soap:mustUnderstand="1">' + assertion("one") + b"</wsse:Security>" in got.body


def test_tokens_are_fetched_anew_shortly_before_their_end(server: ScriptedServer) -> None:
    """Ten seconds before that of an assertion, sixty before that of the proxy's token."""
    server.scripts = {SIMULATION: [ANSWER], STS: [saml("one", 10), saml("two", 70)], ISSUER: [passes("p1", 60), passes("p2", 3600)]}
    client = SimulationClient(server.access(tokens=True))
    try:
        for _ in range(3):
            client.ask(QUESTION).result(PATIENCE_SECONDS)
    finally:
        client.close()
    assert [len(server.to(path)) for path in (STS, ISSUER)] == [2, 2]
    assert [got.headers["x-proxy-authorization"] for got in server.to(SIMULATION)] == ["Bearer p2"] * 3


def test_an_assertion_that_is_not_taken_is_fetched_anew_and_the_call_made_once_more(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [REFUSED, ANSWER], STS: [saml("one"), saml("two")], ISSUER: [passes("p1")]}
    assert isinstance(ask(server.access(tokens=True)).outcome, Simulation)
    first, second = [got.body for got in server.to(SIMULATION)]
    assert assertion("one") in first
    assert assertion("two") in second
    assert first.partition(b"MessageID")[2][:100] != second.partition(b"MessageID")[2][:100]


def test_an_assertion_that_is_not_taken_twice_is_not_tried_a_third_time(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [REFUSED], STS: [saml("one"), saml("two")], ISSUER: [passes("p1")]}
    assert reason_of(ask(server.access(tokens=True))) is FailureReason.NOT_AUTHENTICATED
    assert [len(server.to(path)) for path in (SIMULATION, STS, ISSUER)] == [2, 2, 1]


def test_a_token_that_the_proxy_does_not_take_is_not_used_again(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(b"no", 401), ANSWER], STS: [saml("one")], ISSUER: [passes("p1"), passes("p2")]}
    client = SimulationClient(server.access(tokens=True))
    try:
        assert reason_of(client.ask(QUESTION).result(PATIENCE_SECONDS)) is FailureReason.OTHER_STATUS
        assert isinstance(client.ask(QUESTION).result(PATIENCE_SECONDS).outcome, Simulation)
    finally:
        client.close()
    assert [got.headers["x-proxy-authorization"] for got in server.to(SIMULATION)] == ["Bearer p1", "Bearer p2"]


@pytest.mark.parametrize(
    ("of_sts", "of_issuer", "said"),
    [
        (saml("one", kind="urn:ietf:params:oauth:token-type:jwt"), None, "Ukjent token type: urn:ietf:params:oauth:token-type:jwt"),
        (says(json.dumps({"title": "Denied", "detail": "no such user"}).encode(), 401), None, 'Feil fra STS: Denied - "no such user"'),
        (says(b"<html>", 500), None, "Kunne ikke tolke JSON fra responsen til STS"),
        (says(b'{"access_token": 1}'), None, "Kunne ikke tolke JSON fra responsen til STS"),
        (says(b"\xff\xfe"), None, "Kunne ikke tolke JSON fra responsen til STS"),
        (
            says(
                json.dumps({"access_token": "%%%", "issued_token_type": "urn:ietf:params:oauth:token-type:saml2", "expires_in": 1}).encode()
            ),
            None,
            "Kunne ikke dekode Base64: det er ingen assertion",
        ),
        (
            says(
                json.dumps(
                    {"access_token": "PGE+", "issued_token_type": "urn:ietf:params:oauth:token-type:saml2", "expires_in": 1}
                ).encode()
            ),
            None,
            "Kunne ikke dekode Base64: det er ingen assertion",
        ),
        (hangs_up, None, "STS can not be reached: RemoteProtocolError"),
        (goes_on(2), None, "the answer of STS is too long"),
        (None, says(b"{}", 400), "the issuer answers with HTTP status 400"),
        (None, says(b"{}"), "Kunne ikke tolke JSON fra responsen til the issuer"),
        (None, passes("two\nlines"), "the issuer's token can not stand in a header"),
    ],
)
def test_a_token_that_can_not_be_had_is_the_outcome_with_its_reason(
    server: ScriptedServer, of_sts: Act | None, of_issuer: Act | None, said: str
) -> None:
    server.scripts = {SIMULATION: [ANSWER], STS: [of_sts or saml("one")], ISSUER: [of_issuer or passes("p1")]}
    asked = ask(server.access(tokens=True))
    assert asked.outcome == SimulationFailure(FailureReason.NO_TOKEN, said)
    assert server.to(SIMULATION) == []


def test_a_token_with_which_no_assertion_is_to_be_had_is_not_used_again(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [ANSWER], STS: [says(b"{}", 401), saml("one")], ISSUER: [passes("p1"), passes("p2")]}
    client = SimulationClient(server.access(tokens=True), now=lambda: OPEN)
    try:
        assert reason_of(client.ask(QUESTION).result(PATIENCE_SECONDS)) is FailureReason.NO_TOKEN
        assert isinstance(client.ask(QUESTION).result(PATIENCE_SECONDS).outcome, Simulation)
    finally:
        client.close()
    assert [got.headers["x-proxy-authorization"] for got in server.to(STS)] == ["Bearer p1", "Bearer p2"]


def test_those_who_wait_for_a_token_that_can_not_be_had_hear_so_together(server: ScriptedServer) -> None:
    together = threading.Event()

    def refuses_all_at_once(handler: Any, scripted: ScriptedServer) -> None:
        together.wait(PATIENCE_SECONDS)
        says(b"{}", 500)(handler, scripted)

    server.scripts = {SIMULATION: [ANSWER], STS: [refuses_all_at_once, saml("one")], ISSUER: [passes("p1")]}
    client = SimulationClient(server.access(tokens=True), now=lambda: OPEN)
    try:
        waiting = [client.ask(QUESTION) for _ in range(5)]
        until(lambda: server.to(STS))
        waiting[0].cancel()
        together.set()
        assert [reason_of(each.result(PATIENCE_SECONDS)) for each in waiting[1:]] == [FailureReason.NO_TOKEN] * 4
        assert isinstance(client.ask(QUESTION).result(PATIENCE_SECONDS).outcome, Simulation)
    finally:
        client.close()
    assert len(server.to(STS)) == 2


def test_secrets_are_not_shown(server: ScriptedServer) -> None:
    assert "cret" not in repr(server.access(tokens=True))


def authority(directory: Path, name: str) -> Path:
    """A key and a certificate for the loopback address that vouches for itself, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        named, named, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(days=1)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    file = directory / f"{name}.pem"
    made = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made)
    return file


def test_the_rail_has_to_show_a_certificate_that_is_trusted_and_is_shown_ours(tmp_path: Path) -> None:
    theirs, own, strange = (authority(tmp_path, name) for name in ("rail", "kvitt", "stranger"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(own))
    context.load_cert_chain(theirs)
    context.verify_mode = ssl.CERT_REQUIRED
    with scripted_server(context) as server:
        server.scripts = {SIMULATION: [ANSWER]}
        access = replace(server.access(), ca_file=theirs, certificate_file=own)
        assert isinstance(ask(access).outcome, Simulation)
        for other in (replace(access, ca_file=strange), replace(access, ca_file=None), replace(access, certificate_file=strange)):
            assert reason_of(ask(other)) is FailureReason.UNREACHABLE
        assert len(server.asked) == 1


def test_a_file_of_certificates_that_can_not_be_used_is_no_client(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"(?i)no such file"):
        SimulationClient(SimulationAccess("https://127.0.0.1/", ca_file=tmp_path / "missing.pem"))
