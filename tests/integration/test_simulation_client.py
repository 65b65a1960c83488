"""The client of the rail's simulation over real HTTP: what it sends, what it makes of whatever comes back, and when it stops waiting."""

import gzip
import re
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait

import pytest
from lxml import etree
from msgspec.structs import replace

from kvitt.disbursement.simulation import (
    Again,
    FailureReason,
    NothingComputed,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
)
from kvitt.rails.oppdrag.simulation import SimulationAccess, SimulationClient
from support import simulation_answers as answers
from support.patience import PATIENCE_SECONDS, until
from support.simulation_client import ANSWER, CLOSED, OPEN, QUESTION, ask, reason_of
from support.simulation_server import (
    ISSUER,
    SIMULATION,
    STS,
    Act,
    ScriptedServer,
    breaks_off,
    goes_on,
    hangs,
    hangs_up,
    later,
    passes,
    says,
    scripted_server,
    trickles,
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


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
    asked = ask(server.access())
    assert reason_of(asked) is reason
    assert len(server.asked) == 1
    # The rail has it, and nobody knows whether it is done with it.
    assert asked.at_work == (reason in {FailureReason.BROKEN_OFF, FailureReason.UNREACHABLE})


def test_an_empty_answer_means_that_nothing_would_be_paid(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(answers.empty())]}
    assert ask(server.access()).outcome == NothingComputed()


def test_nobody_there_is_unreachable_within_the_hours_and_closed_outside_them() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        access = SimulationAccess(f"http://127.0.0.1:{free.getsockname()[1]}/simulation")
    nobody = [ask(access), ask(access, at=CLOSED), ask(replace(access, url="nowhere"))]
    assert [reason_of(each) for each in nobody] == [FailureReason.UNREACHABLE, FailureReason.CLOSED, FailureReason.UNREACHABLE]
    assert not any(each.at_work for each in nobody)


def test_a_gateway_that_did_not_wait_leaves_the_rail_at_work(server: ScriptedServer) -> None:
    server.scripts = {SIMULATION: [says(answers.PAGE, 504)]}
    assert ask(server.access()).at_work


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
    late = ask(server.access(seconds=0.1), at=CLOSED)
    assert (reason_of(late), late.at_work, asked.at_work) == (FailureReason.CLOSED, True, True)


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
