"""What breaks off, hangs or is locked on the way of a dry run: one answer all the same, and nobody else waits."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from kvitt.contracts.helved import topics
from kvitt.disbursement.simulate import RAIL_SECONDS
from kvitt.disbursement.simulation_requests import SimulationState, listing
from kvitt.disbursement.values import Scheme
from kvitt.errors import LeaseLost
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.fault_points import OF_SIMULATIONS
from kvitt.testing import Hub, TestServer, hub
from support import simulation_answers as answers
from support.hub_messages import aap
from support.patience import PATIENCE_SECONDS, until
from support.simulation_answers import Of, Row
from support.simulation_server import SIMULATION, Act, ScriptedServer, breaks_off, goes_on, hangs, hangs_up, says, scripted_server
from support.simulator_steps import by_case, simulating

KVITT = "from kvitt.app.main import main; main()"
CASES = count(1)
AAP = topics.primary_input(Scheme.AAP)


def answer(case: str) -> Act:
    """Ten days of pay for the case."""
    row = Row("2026-06-01", "5000.00", class_code="AAPOR", end="2026-06-12", rate="500.00", rate_type="DAG")
    return says(answers.computed(("2026-06-01", "2026-06-12", [Of([row], area="AAP", case_id=case)]), total="5000.00"))


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=utc_now()) as made:
        yield made
        made.run("intake", "sender", "emulator", "receiver", "resume", "relay")
        made.check()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


@pytest.fixture
def case() -> str:
    return f"S-{next(CASES)}"


def ask(site: Hub, case: str, amount: int = 500) -> None:
    """A dry run whose key is its case."""
    site.put(AAP, case, aap(case, amount, dryrun=True))
    site.run("intake")


def state(site: Hub, case: str) -> SimulationState:
    return listing(site.connection, key=(Scheme.AAP, case))[0].state


def heard(site: Hub, case: str) -> list[str]:
    """All that the sender of a dry run has heard: kinds of answers."""
    site.run("relay")
    said = [each.json["@type"] for each in site.published(topics.DRY_RUNS[Scheme.AAP], case)]
    return said + [f"{each.json['status']} {each.json['error']['statusCode']}" for each in site.published(topics.STATUSES, case)]


def test_questions_that_hang_hold_up_no_other_question_no_message_and_no_order(site: Hub, server: ScriptedServer) -> None:
    hung, other, paid = (f"S-{next(CASES)}" for _ in range(3))
    server.scripts = {SIMULATION: [by_case({hung: hangs}, answer(other))]}
    with simulating(site, server) as simulator:
        ask(site, hung)
        simulator.until(lambda: state(site, hung) is SimulationState.ASKED and bool(server.asked), "it was not asked")
        ask(site, other)
        simulator.until(lambda: state(site, other) is SimulationState.ANSWERED, "another case was not answered")
        site.put(AAP, paid, aap(paid))
        site.run("intake", "sender", "emulator", "receiver", "relay")
        assert [each.json["status"] for each in site.published(topics.STATUSES, paid)][-1] == "OK"
        assert (state(site, hung), heard(site, hung), heard(site, other)) == (SimulationState.ASKED, [], ["v2"])
    server.scripts = {SIMULATION: [answer(hung)]}
    with simulating(site, server) as simulator:
        simulator.until(lambda: state(site, hung) is SimulationState.ANSWERED, "it was not asked again")
    assert heard(site, hung) == ["v2"]


def test_an_order_waits_while_its_case_is_asked_about_and_leaves_afterwards(site: Hub, server: ScriptedServer, case: str) -> None:
    server.scripts = {SIMULATION: [hangs]}
    with simulating(site, server, seconds=1.0) as simulator:
        ask(site, case)
        simulator.until(lambda: bool(server.asked), "it was not asked")
        site.put(AAP, f"{case} meant", aap(case, 700))
        site.run("intake", "sender", "emulator", "receiver", "relay")
        assert [each.json["status"] for each in site.published(topics.STATUSES, f"{case} meant")] == ["MOTTATT"]
        simulator.until(lambda: state(site, case) is SimulationState.FAILED, "its time did not end")
    site.run("sender", "emulator", "receiver", "relay")
    # The rail may be at work on the question still.
    assert [each.json["status"] for each in site.published(topics.STATUSES, f"{case} meant")] == ["MOTTATT"]
    site.clock.advance(seconds=RAIL_SECONDS)
    site.run("sender", "emulator", "receiver", "relay")
    assert [each.json["status"] for each in site.published(topics.STATUSES, f"{case} meant")] == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    assert heard(site, case) == ["FEILET 500"]


def test_of_one_case_one_question_is_asked_at_a_time(site: Hub, server: ScriptedServer, case: str) -> None:
    server.scripts = {SIMULATION: [hangs, answer(case)]}
    with simulating(site, server, seconds=0.5) as simulator:
        ask(site, case)
        site.put(AAP, f"{case} too", aap(case, 600, dryrun=True))
        site.run("intake")
        simulator.until(lambda: bool(server.asked), "it was not asked")
        assert [each.state for each in listing(site.connection, key=(Scheme.AAP, case))] == [
            SimulationState.REQUESTED,
            SimulationState.ASKED,
        ]
        simulator.until(lambda: state(site, case) is SimulationState.ANSWERED, "the second one was not asked")
    assert (heard(site, case), heard(site, f"{case} too")) == (["FEILET 500"], ["v2"])


def test_an_answer_for_a_case_that_somebody_has_locked_is_kept_and_holds_up_no_other(site: Hub, server: ScriptedServer, case: str) -> None:
    other = f"S-{next(CASES)}"
    server.scripts = {SIMULATION: [by_case({case: answer(case)}, answer(other))]}
    with simulating(site, server) as simulator, connect(site.conninfo) as stranger:
        ask(site, case)
        simulator.until(lambda: state(site, case) is SimulationState.ASKED, "it was not asked")
        with stranger.transaction():
            stranger.execute("SELECT FROM cases WHERE case_id = %s FOR UPDATE", (case,))
            ask(site, other)
            simulator.until(lambda: state(site, other) is SimulationState.ANSWERED, "another case was held up")
            assert state(site, case) is SimulationState.ASKED
        simulator.until(lambda: state(site, case) is SimulationState.ANSWERED, "what was locked was not answered")
    assert (heard(site, case), heard(site, other)) == (["v2"], ["v2"])


def test_what_broke_off_every_time_is_not_asked_for_ever(site: Hub, server: ScriptedServer, case: str) -> None:
    server.scripts = {SIMULATION: [hangs]}
    ask(site, case)
    with simulating(site, server) as simulator:
        simulator.until(lambda: state(site, case) is SimulationState.ASKED, "it was not asked")
    site.connection.execute("UPDATE simulation_requests SET times_asked = 5 WHERE state = 'asked'")
    with simulating(site, server):
        assert state(site, case) is SimulationState.FAILED
    assert heard(site, case) == ["FEILET 500"]


def test_one_that_broke_off_every_time_and_whose_case_is_locked_is_answered_when_it_is_free(
    site: Hub, server: ScriptedServer, case: str
) -> None:
    server.scripts = {SIMULATION: [hangs]}
    ask(site, case)
    with simulating(site, server) as simulator:
        simulator.until(lambda: state(site, case) is SimulationState.ASKED, "it was not asked")
    site.connection.execute("UPDATE simulation_requests SET times_asked = 5 WHERE state = 'asked'")
    with connect(site.conninfo) as stranger:
        stranger.execute("BEGIN")
        stranger.execute("SELECT FROM cases WHERE case_id = %s FOR UPDATE", (case,))
        with simulating(site, server) as simulator:
            assert state(site, case) is SimulationState.ASKED
            stranger.execute("ROLLBACK")
            simulator.until(lambda: state(site, case) is SimulationState.FAILED, "nobody ended it")
    assert heard(site, case) == ["FEILET 500"]


def test_one_whose_answer_can_not_be_published_is_answered_so_and_sinks_no_other(
    site: Hub, server: ScriptedServer, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"S-{next(CASES)}"
    server.scripts = {SIMULATION: [by_case({case: answer(case)}, answer(other))]}
    written = site.ports.contracts.of[AAP].reply

    def reply(event, message, at):
        if getattr(event, "case_id", "") == case and not getattr(event.outcome, "reason", None):
            raise ValueError("no form for it")
        return written(event, message, at)

    monkeypatch.setattr(site.ports.contracts.of[AAP], "reply", reply)
    ask(site, case)
    ask(site, other)
    with simulating(site, server) as simulator:
        simulator.until(lambda: state(site, case) is SimulationState.FAILED, "it was not answered")
        simulator.until(lambda: state(site, other) is SimulationState.ANSWERED, "the other was not answered")
    assert (heard(site, case), heard(site, other)) == (["FEILET 500"], ["v2"])


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;&c;&c;</a>'


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (goes_on(50), "FEILET 500"),
        (says(BOMB), "FEILET 500"),
        (says("<a>æøå</a>".encode("utf-16")), "FEILET 500"),
        (says(b"\xff\xfe\x00\xd8"), "FEILET 500"),
        (says(b""), "FEILET 500"),
        (says(b"{}", 200), "FEILET 500"),
        (says(answers.empty()), "v2"),
        (says(answers.empty("ingenting")), "v2"),
        (breaks_off(answers.EXAMPLE, declared=True), "FEILET 500"),
        (hangs_up, "FEILET 500"),
        (says(answers.fault("Personen finnes ikke"), 500), "FEILET 404"),
        (says(answers.fault("noe annet"), 500), "FEILET 400"),
    ],
)
def test_whatever_comes_back_is_one_answer(site: Hub, server: ScriptedServer, case: str, act: Act, said: str) -> None:
    server.scripts = {SIMULATION: [act]}
    ask(site, case)
    with simulating(site, server) as simulator:
        simulator.until(lambda: not listing(site.connection, key=(Scheme.AAP, case))[0].is_open, "it has no end")
    assert heard(site, case) == [said]


def process_that_dies(site: Hub, server: ScriptedServer, directory: Path, place: str, roles: str = "simulator") -> None:
    """Runs roles in a process of their own until it kills itself at that place."""
    config = directory / "kvitt.toml"
    config.write_text(
        f"database_url = {json.dumps(site.conninfo)}\ndata = {json.dumps(str(directory))}\nlease_seconds = 0.4\n"
        f"[ops]\nport = 0\n[simulation]\nurl = {json.dumps(server.url + SIMULATION)}\n"
    )
    command = [sys.executable, "-c", KVITT, "run", "--roles", roles, "--config", str(config)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, "KVITT_DIE_AT": place}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None, what=f"{place} was not reached")
    finally:
        if process.poll() is None:
            process.kill()
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL, (directory / "log").read_text()


@pytest.mark.parametrize(
    "seam",
    [
        *zip(
            OF_SIMULATIONS,
            (SimulationState.REQUESTED, SimulationState.ASKED, SimulationState.ASKED, SimulationState.ANSWERED),
            (1, 1, 2, 1),
            strict=True,
        )
    ],
)
def test_a_process_that_dies_anywhere_leaves_one_answer(
    site: Hub, server: ScriptedServer, case: str, tmp_path: Path, seam: tuple[str, SimulationState, int]
) -> None:
    place, then, questions = seam
    server.scripts = {SIMULATION: [answer(case)]}
    ask(site, case)
    process_that_dies(site, server, tmp_path, place)
    assert state(site, case) is then
    if then is SimulationState.ASKED:
        site.put(AAP, f"{case} meant", aap(case, 700))
        site.run("intake", "sender")
        assert not any(f">{case}<".encode() in each.message for each in site.sent())
    until(lambda: takes_over(site, server, case), what="nobody took over")
    assert heard(site, case) == ["v2"]
    assert len(server.asked) == questions
    site.run("sender", "emulator", "receiver", "relay")
    # The rail may be at work on the question of the one that died.
    assert not any(f">{case}<".encode() in each.message for each in site.sent())
    site.clock.advance(seconds=RAIL_SECONDS)
    site.run("sender", "emulator", "receiver", "relay")
    assert site.connection.execute("SELECT count(*) FROM orders WHERE state <> 'accepted'").fetchone() == (0,)


def takes_over(site: Hub, server: ScriptedServer, case: str) -> bool:
    """Whether the lease of the one that died has run out, and the request has come to its end."""
    try:
        with simulating(site, server) as simulator:
            simulator.until(lambda: state(site, case) is SimulationState.ANSWERED, "it was not answered")
    except LeaseLost:
        return False
    return True


@pytest.mark.parametrize("place", ["submit.before_commit", "submit.after_commit"])
def test_a_process_that_dies_as_it_stores_the_request_leaves_one_answer(
    database: str, server: ScriptedServer, tmp_path: Path, place: str
) -> None:
    with hub(conninfo=database, start=utc_now()) as site:
        site.put(AAP, "S-1", aap("S-1", dryrun=True))
        process_that_dies(site, server, tmp_path, place, "intake,simulator")
        assert len(listing(site.connection)) == (place == "submit.after_commit")
        until(lambda: runs(site) and bool(heard(site, "S-1")), what="nobody took over")
        assert heard(site, "S-1") == ["v2"]
        site.check()


def runs(site: Hub) -> bool:
    """Whether the leases of the one that died have run out, and all has been done."""
    try:
        site.run()
    except LeaseLost:
        return False
    return True
