"""`kvitt decision`: a person sees what was posted for a case, what each follows, who posted it, and what became of it."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.ports import Ports
from kvitt.testing import TestServer
from support.called_contract import BY_APPROVER, BY_MACHINE, CALLED, CalledContract, line
from support.hub_stage import Stage, receipt_with

HUB = Ports(contracts=Contracts(*PORTS.contracts, CalledContract()), rails=PORTS.rails)
Json = dict[str, Any]


class Site(Stage):
    """A hub with a contract that is called, and commands on it."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo, HUB)
        self._calls = 0

    def decide(self, body: bytes, by: CallHeaders = BY_MACHINE) -> None:
        """One call."""
        self._calls += 1
        self.submit([Incoming(CALLED, 0, self._calls, b"key", body, by.encode())])

    def kvitt(self, *words: str | int) -> Result:
        """One command."""
        before, handler = structlog.get_config(), signal.getsignal(signal.SIGTERM)
        try:
            return CliRunner().invoke(main, [*map(str, words), "--database", self.conninfo])
        finally:
            structlog.configure(**before)
            signal.signal(signal.SIGTERM, handler)

    def rows(self, *words: str | int) -> list[Json]:  # type: ignore[override]
        """The objects that a command prints as JSON."""
        done = self.kvitt(*words, "--json")
        assert done.exit_code == 0, done.output
        return [json.loads(each) for each in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def hub(kvitt_server: TestServer) -> Iterator[Site]:
    """A case with a decision that was accepted, one that was refused, a repeat, one that the rail rejected, and an open one."""
    with kvitt_server.database() as conninfo:
        site = Site(conninfo)
        site.decide(line("C1", "d1", cap=800), BY_APPROVER)
        site.decide(line("C1", "d2", "d1", 600))
        site.finish()
        site.decide(line("C1", "d1", cap=800), BY_APPROVER)
        site.decide(line("C1", "d2", "d1", 600))
        site.settle([receipt_with(each, "08", "Nei") for each in site.exchange()])
        site.decide(line("C1", "d3", "d2", 700))
        yield site
        site.close()


@pytest.fixture(autouse=True)
def _called_contract_is_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvitt.app.ports.PORTS", HUB)


def test_every_call_is_listed_with_what_was_done(hub: Site) -> None:
    found = hub.rows("decision", "list", "valp", "C1")
    assert [(each["decision_id"], each["previous_decision_id"], each["outcome"], each["state"]) for each in found] == [
        ("d3", "d2", "ordered", "open"),
        ("d2", "d1", "ordered", "rejected"),
        ("d1", None, "repeated", None),
        ("d2", "d1", "refused", None),
        ("d1", None, "ordered", "accepted"),
    ]
    refused = found[3]
    assert (refused["refused_status"], refused["refused_text"], refused["orders"]) == (423, "the previous decision is not finished", [])
    assert [(each["application"], each["caseworker"], each["by_approver"]) for each in (found[0], found[4])] == [
        ("toys", None, False),
        ("toys", "A100001", True),
    ]
    assert [(order["number"], order["state"]) for each in found for order in each["orders"]] == [
        (3, "ready"),
        (2, "rejected"),
        (1, "accepted"),
    ]


def test_the_chain_alone_is_what_was_received_for_good(hub: Site) -> None:
    found = hub.rows("decision", "list", "valp", "C1", "--received", "--limit", 2)
    assert [each["decision_id"] for each in found] == ["d3", "d2"]


def test_a_person_reads_whose_the_case_is_and_names_nobody_that_is_paid(hub: Site) -> None:
    done = hub.kvitt("decision", "list", "valp", "C1")
    assert done.stdout.splitlines()[0] == "VALP case C1 belongs to called; without an approver it pays from 2026-01-01 up to 800 a day"
    assert "[423] the previous decision is not finished" in done.stdout
    assert "12345678910" not in done.stdout


def test_one_decision_is_shown_and_its_body_printed_as_it_was_posted(hub: Site) -> None:
    newest = hub.rows("decision", "list", "valp", "C1")[0]
    (shown,) = hub.rows("decision", "show", newest["message_no"])
    assert {**newest, "scheme": "VALP", "case_id": "C1"} == shown
    assert "TILSOPP 3 ready" in hub.kvitt("decision", "show", newest["message_no"]).stdout
    assert hub.kvitt("decision", "show", newest["message_no"], "--body").stdout_bytes == line("C1", "d3", "d2", 700)


def test_what_is_not_there_is_said(hub: Site) -> None:
    assert "VALP has no case C9" in hub.kvitt("decision", "list", "valp", "C9").output
    assert "no decision was posted in message 999999" in hub.kvitt("decision", "show", 999_999).output
