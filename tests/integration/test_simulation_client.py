"""The client of the rail's simulation over real HTTP: what it sends, what it makes of whatever comes back, and when it stops waiting."""

import gzip
import json
import re
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
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
from lxml import etree
from msgspec.structs import replace

from kvitt.disbursement.simulation import (
    Again,
    AskedSimulation,
    FailureReason,
    NothingComputed,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
    Simulator,
)
from kvitt.rails.oppdrag.simulation import SimulationAccess, SimulationClient
from support import simulation_answers as answers
from support.patience import PATIENCE_SECONDS, until
from support.simulation_server import (
    ISSUER,
    SIMULATION,
    STS,
    Act,
    ScriptedServer,
    assertion,
    breaks_off,
    goes_on,
    hangs,
    hangs_up,
    later,
    passes,
    saml,
    says,
    scripted_server,
    trickles,
)

QUESTION = b"<question/>"
OPEN, CLOSED = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 1, 17, 12, tzinfo=UTC)
"""A Thursday, and the Saturday after it."""
ANSWER = says(answers.EXAMPLE)
REFUSED = says(answers.AUTHENTICATION, 500)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


def ask(access: SimulationAccess, *, at: datetime = OPEN, again: Again | None = None) -> AskedSimulation:
    """One question to a client of its own."""
    client: Simulator = SimulationClient(access, now=lambda: at)
    try:
        return client.ask(QUESTION, **({"again": again} if again else {})).result(PATIENCE_SECONDS)
    finally:
        client.close()


def reason_of(asked: AskedSimulation) -> FailureReason:
    assert isinstance(asked.outcome, SimulationFailure)
    return asked.outcome.reason


def test_a_question_is_posted_in_an_envelope_and_its_answer_is_kept_as_it_came(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [ANSWER]}
    asked = ask(server.access())
    assert isinstance(asked.outcome, Simulation)
    assert (asked.status, asked.answer, asked.attempts) == (200, answers.EXAMPLE, 1)
    (got,) = server.asked
    assert (got.headers["content-type"], got.headers["accept"]) == ("text/xml", "*/*")
    assert "soapaction" not in got.headers
    assert "x-proxy-authorization" not in got.headers
    envelope = etree.fromstring(got.body)
    assert envelope.findtext("{*}Header/{*}To") == server.url + SIMULATION
    assert envelope.find("{*}Header/{*}Security") is None
    assert QUESTION in got.body


def test_every_message_has_an_id_of_its_own_and_is_otherwise_the_same(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [ANSWER]}
    ask(server.access())
    ask(server.access())
    one, other = [got.body for got in server.asked]
    ids = [re.search(rb"urn:uuid:([0-9a-f-]{36})<", body)[1] for body in (one, other)]
    assert ids[0] != ids[1]
    assert one.replace(ids[0], b"") == other.replace(ids[1], b"")


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


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (says(answers.fault("Personen finnes ikke"), 500), FailureReason.PERSON_UNKNOWN),
        (says(answers.fault("Feltet er ugyldig"), 500), FailureReason.INVALID),
        (says(answers.fault("Må ha nytt vedtak når Sats/Type/Vedtak-fom endres"), 500), FailureReason.NEEDS_NEW_DECISION),
        (says(answers.business("OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før"), 500), FailureReason.CASE_UNKNOWN),
        (says(answers.business("Oppdraget finnes fra før"), 500), FailureReason.ORDER_EXISTS),
        (says(answers.business("Referert vedtak/linje ikke funnet"), 500), FailureReason.LINE_UNKNOWN),
        (says(answers.business("Navn på person ikke funnet i PDL"), 500), FailureReason.PERSON_UNKNOWN),
        (says(answers.business("DELYTELSE-ID finnes i oppdragsbasen fra før"), 500), FailureReason.LINE_EXISTS),
        (says(answers.cics("Conversion to SOAP failed", answers.CICS_LOCKED), 500), FailureReason.LOCKED),
        (says(answers.cics("Conversion from SOAP failed", answers.CICS_LENGTH), 500), FailureReason.REQUEST_NOT_TAKEN),
        (says(answers.fault("The target application did not create a new SOAP Body", "<detail/>"), 500), FailureReason.NOTHING_MADE),
        (says(answers.fault("Something else"), 500), FailureReason.UNKNOWN_FAULT),
        (says(answers.soap("<something/>")), FailureReason.UNKNOWN_ANSWER),
        (says(b"no XML"), FailureReason.UNREADABLE),
        (says(answers.PAGE, 502, Content_Type="text/html"), FailureReason.PROXY_CLOSED),
        (says(answers.PAGE, 503, Content_Type="text/html"), FailureReason.OTHER_STATUS),
        (says(b"", 302, Location="http://elsewhere/"), FailureReason.OTHER_STATUS),
        (says(answers.PAGE), FailureReason.FOREIGN_PAGE),
        (says(b""), FailureReason.NO_ANSWER),
        (says(gzip.compress(answers.EXAMPLE), Content_Encoding="gzip"), FailureReason.UNREADABLE),
        (breaks_off(answers.EXAMPLE, declared=True), FailureReason.BROKEN_OFF),
        (breaks_off(answers.EXAMPLE, declared=False), FailureReason.UNREADABLE),
        (hangs_up, FailureReason.UNREACHABLE),
    ],
)
def test_each_answer_is_an_outcome_and_is_asked_for_once(server: ScriptedServer, act: Act, reason: FailureReason) -> None:
    server.scripts = {SIMULATION: [act]}
    assert reason_of(ask(server.access())) is reason
    assert len(server.asked) == 1


def test_an_empty_answer_means_that_nothing_would_be_paid(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(answers.empty())]}
    assert ask(server.access()).outcome == NothingComputed()


def test_nobody_there_is_unreachable_within_the_hours_and_closed_outside_them() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        access = SimulationAccess(f"http://127.0.0.1:{free.getsockname()[1]}/simulation")
    assert reason_of(ask(access)) is FailureReason.UNREACHABLE
    assert reason_of(ask(access, at=CLOSED)) is FailureReason.CLOSED
    assert reason_of(ask(replace(access, url="nowhere"))) is FailureReason.UNREACHABLE


def test_what_answers_outside_the_hours_is_believed(server: ScriptedServer) -> None:
    server.scripts = {
        SIMULATION: [
            ANSWER,
            says(answers.PAGE, 502),
            says(answers.fault("Personen finnes ikke"), 500),
            breaks_off(answers.EXAMPLE, declared=True),
        ]
    }
    outcomes = [ask(server.access(), at=CLOSED) for _ in range(4)]
    assert isinstance(outcomes[0].outcome, Simulation)
    found = [reason_of(each) for each in outcomes[1:]]
    assert found == [FailureReason.PROXY_CLOSED, FailureReason.PERSON_UNKNOWN, FailureReason.BROKEN_OFF]


@pytest.mark.parametrize("act", [hangs, trickles(head=True), trickles(head=False)], ids=["hangs", "trickles its head", "trickles its body"])
def test_however_slowly_it_speaks_the_deadline_ends_it(server: ScriptedServer, act: Act) -> None:
    server.scripts = {SIMULATION: [act]}
    asked = ask(server.access(seconds=0.3))
    assert asked.outcome == SimulationFailure(FailureReason.TIMED_OUT, "no answer within 0.3 seconds")
    assert reason_of(ask(server.access(seconds=0.1), at=CLOSED)) is FailureReason.CLOSED


def test_the_deadline_bounds_the_wait_for_tokens_and_for_a_place(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [ANSWER], STS: [hangs], ISSUER: [passes("p1")]}
    assert reason_of(ask(server.access(tokens=True, seconds=0.3))) is FailureReason.TIMED_OUT
    server.scripts = {SIMULATION: [hangs]}
    client = SimulationClient(server.access(at_once=1), now=lambda: OPEN)
    try:
        client.ask(QUESTION)
        until(lambda: len(server.to(SIMULATION)) == 1)
        assert reason_of(client.ask(QUESTION, seconds=0.2).result(PATIENCE_SECONDS)) is FailureReason.TIMED_OUT
    finally:
        client.close()
    assert len(server.to(SIMULATION)) == 1


def test_questions_that_hang_hold_up_no_other_as_long_as_there_is_a_place(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [hangs, hangs, hangs, ANSWER]}
    client = SimulationClient(server.access(at_once=4), now=lambda: OPEN)
    try:
        hanging = [client.ask(QUESTION) for _ in range(3)]
        until(lambda: len(server.asked) == 3)
        for _ in range(20):
            assert isinstance(client.ask(QUESTION).result(PATIENCE_SECONDS).outcome, Simulation)
        assert not any(each.done() for each in hanging)
    finally:
        client.close()
    for each in hanging:
        with pytest.raises(CancelledError):
            each.result(PATIENCE_SECONDS)
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.ask(QUESTION)


def test_no_more_are_asked_at_once_than_there_are_places(server: ScriptedServer) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def counted(handler: object, scripted: ScriptedServer) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        later(0.02, lambda *_: None)(handler, scripted)
        with lock:
            now[0] -= 1
        ANSWER(handler, scripted)

    server.scripts = {SIMULATION: [counted]}
    client = SimulationClient(server.access(at_once=3))
    try:
        done, _ = wait([client.ask(QUESTION) for _ in range(20)], PATIENCE_SECONDS)
        assert all(isinstance(each.result().outcome, Simulation) for each in done)
    finally:
        client.close()
    assert most[0] <= 3
    assert len(server.asked) == 20


def test_a_question_that_is_taken_back_frees_its_place(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [hangs, ANSWER]}
    client = SimulationClient(server.access(at_once=1), now=lambda: OPEN)
    try:
        hanging = client.ask(QUESTION)
        until(lambda: len(server.asked) == 1)
        hanging.cancel()
        assert isinstance(client.ask(QUESTION).result(PATIENCE_SECONDS).outcome, Simulation)
    finally:
        client.close()


def test_an_answer_of_fifty_megabytes_is_not_read_to_its_end(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [goes_on(50)]}
    tracemalloc.start()
    try:
        asked = ask(server.access())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert asked.outcome == SimulationFailure(FailureReason.UNREADABLE, "the answer is larger than 16777216 bytes")
    assert asked.answer == b""
    assert peak < 64_000_000


def test_a_long_answer_is_read_like_a_short_one(server: ScriptedServer) -> None:
    rows = [answers.Row("2026-01-05", "1.00")] * 500
    long = answers.computed(("2026-01-05", "2026-01-05", [answers.Of(rows)]))
    assert len(long) > 256 * 1024
    server.scripts = {SIMULATION: [says(long)]}
    outcome = ask(server.access()).outcome
    assert isinstance(outcome, Simulation)
    assert len(outcome.periods[0].payments[0].postings) == 500


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


def technical(outcome: SimulationOutcome) -> bool:
    return isinstance(outcome, SimulationFailure) and outcome.reason is FailureReason.FOREIGN_PAGE


def test_a_question_is_asked_again_only_where_a_contract_says_so(server: ScriptedServer) -> None:
    again = Again((0.0, 0.0, 0.0), technical)
    server.scripts = {SIMULATION: [says(answers.PAGE), says(answers.PAGE), ANSWER]}
    asked = ask(server.access(), again=again)
    assert isinstance(asked.outcome, Simulation)
    assert asked.attempts == len(server.asked) == 3
    ids = {re.search(rb"urn:uuid:([0-9a-f-]{36})<", got.body)[1] for got in server.asked}
    assert len(ids) == 3


def test_after_the_last_time_the_last_outcome_stands(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(answers.PAGE)]}
    asked = ask(server.access(), again=Again((0.0, 0.0, 0.0), technical))
    assert (reason_of(asked), asked.attempts, len(server.asked)) == (FailureReason.FOREIGN_PAGE, 4, 4)


def test_another_outcome_is_not_asked_about_again(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(answers.fault("Personen finnes ikke"), 500)]}
    assert ask(server.access(), again=Again((0.0,), technical)).attempts == 1


def test_a_deadline_while_waiting_to_ask_again_leaves_what_was_said(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(answers.PAGE)]}
    asked = ask(server.access(seconds=3.0), again=Again((PATIENCE_SECONDS,), technical))
    assert (reason_of(asked), asked.attempts) == (FailureReason.FOREIGN_PAGE, 1)
    assert asked.answer == answers.PAGE
