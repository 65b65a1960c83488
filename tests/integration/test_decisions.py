"""Decisions that come in by calls: their chain, whose a case is, its frame; and that all of it can be made again from what is stored."""

from collections.abc import Iterator

import pytest

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.caller import call_headers
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.called_contract import BY_APPROVER, BY_MACHINE, CALLED, line
from support.called_stage import HUB, Site
from support.hub_messages import valp
from support.hub_stage import receipt_with


@pytest.fixture(scope="module")
def hub(kvitt_server: TestServer) -> Iterator[Site]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    with kvitt_server.database() as conninfo:
        site = Site(conninfo)
        yield site
        differences = site.differences()
        site.close()
        assert differences == []


def test_sources_of_calls_are_no_topics() -> None:
    assert CALLED not in HUB.contracts.inputs()
    assert HUB.contracts.inputs("decisions") == {}
    assert HUB.contracts.of[CALLED].name == "called"
    assert HUB.contracts.input_of(Scheme.VALP) == helved_topics.primary_input(Scheme.VALP)
    assert CALLED not in [terms.name for terms in HUB.contracts.topics]


def test_what_authority_found_stands_with_the_message() -> None:
    assert call_headers(BY_APPROVER.encode()) == BY_APPROVER
    assert call_headers(BY_MACHINE.encode()) == BY_MACHINE


def test_each_decision_names_the_one_before_it(hub: Site) -> None:
    assert hub.decide(line("C1", "d1"), line("C1", "d2", "d1", 600)) == [
        "ordered: received",
        "refused: refused the previous decision is not finished",
    ]
    hub.finish()
    assert hub.decide(line("C1", "d2", "d7", 600)) == ["refused: refused the previous decision is unknown"]
    assert hub.decide(line("C1", "d2", "", 600)) == ["refused: refused the previous decision is not the newest"]
    assert hub.decide(line("C1", "d2", "d1", 600)) == ["ordered: received"]
    hub.finish()
    assert hub.decide(line("C1", "d3", "d1", 700)) == ["refused: refused the previous decision is not the newest"]
    assert hub.decide(line("C1", "d3", "d2", 600)) == ["unchanged: unchanged"]
    assert hub.decide(line("C1", "d4", "d3", 0)) == ["ordered: received"]


def test_a_repeat_hears_the_stored_answer_and_another_body_is_refused(hub: Site) -> None:
    first = line("C2", "d1")
    assert hub.decide(first, first) == ["ordered: received", "repeated: received"]
    hub.finish()
    assert hub.decide(first) == ["repeated: paid"]
    (refused,) = hub.decide(line("C2", "d1", kroner=900))
    assert refused.startswith("refused: refused Meldingens identitet")
    assert len(hub.order_states("C2")) == 1


def test_a_rejected_decision_does_not_block_its_case(hub: Site) -> None:
    hub.decide(line("C3", "d1"))
    hub.finish()
    for named in ("d1", "d2", "d1"):
        number = len(hub.order_states("C3")) + 1
        assert hub.decide(line("C3", f"d{number}", named, 500 + number)) == ["ordered: received"]
        hub.settle([receipt_with(each, "08", "Nei") for each in hub.exchange()])
        assert hub.decide(line("C3", f"d{number}", named, 500 + number)) == ["repeated: rejected Nei"]
    assert hub.order_states("C3") == ["accepted", *["rejected"] * 3]
    assert hub.decide(line("C3", "d5", "d4", 800)) == ["ordered: received"]
    hub.finish()
    assert hub.decide(line("C3", "d6", "d1", 900)) == ["refused: refused the previous decision is not the newest"]


def test_a_first_decision_that_was_rejected_may_be_followed_by_a_first_one(hub: Site) -> None:
    hub.decide(line("C4", "d1"))
    hub.settle([receipt_with(each, "12", "Nei") for each in hub.exchange()])
    assert hub.decide(line("C4", "d2", "", 600)) == ["ordered: received"]


def test_a_case_belongs_to_the_contract_of_its_first_order(hub: Site) -> None:
    hub.decide(line("C5", "d1", kroner=0))
    assert hub.owner("C5") is None, "nothing was ordered"
    hub.hand_in(Scheme.VALP, ("valp-5", valp("C5")))
    assert hub.owner("C5") == "helved"
    (refused,) = hub.decide(line("C5", "d2", "d1"))
    assert refused == "refused: refused Saken hører til kontrakten helved, og kan bare endres gjennom den"
    hub.decide(line("C6", "d1"))
    assert hub.hand_in(Scheme.VALP, ("valp-6", valp("C6"))) == [Outcome.ANSWERED], "it does not wait for an order of another contract"
    error = hub.final("valp-6").error
    assert error is not None
    assert (error.status, "called" in error.text) == (409, True)
    hub.finish()


def test_an_approver_sets_the_frame(hub: Site) -> None:
    assert hub.decide(line("C7", "d1", kroner=400, cap=450)) == ["ordered: received"]
    hub.finish()
    assert hub.one("SELECT cap_kroner FROM cases WHERE case_id = 'C7'") is None, "a machine sets none"
    assert hub.decide(line("C7", "d2", "d1", 400, cap=450), by=BY_APPROVER) == ["unchanged: unchanged"]
    assert hub.rows("SELECT frame_start::text, cap_kroner FROM cases WHERE case_id = 'C7'") == [("2026-01-01", 450)]
    assert hub.decide(line("C7", "d3", "d2", 500, cap=900), by=BY_APPROVER) == ["refused: refused more than the cap"]
    assert hub.one("SELECT cap_kroner FROM cases WHERE case_id = 'C7'") == 450, "a refused decision sets none"


def test_calls_are_shown(hub: Site) -> None:
    hub.decide(line("C8", "d1"), by=BY_APPROVER)
    hub.decide(line("C8", "d2", "d1", 600))
    shown = hub.rows(
        "SELECT contract, application, caseworker, by_approver, outcome, refused_status, decision_id, state FROM kvitt_views.decisions "
        "WHERE case_id = 'C8' ORDER BY message_no"
    )
    assert shown == [
        ("called", "toys", "A100001", True, "ordered", None, "d1", "open"),
        ("called", "toys", None, False, "refused", 423, None, None),
    ]
    assert hub.rows("SELECT contract FROM kvitt_views.cases WHERE case_id = 'C8'") == [("called",)]


TAMPERED = {
    "whose a case is": "UPDATE cases SET contract = 'helved' WHERE contract = 'called'",
    "that nobody owns a case": "UPDATE cases SET contract = 'called' WHERE contract IS NULL",
    "the day of a frame": "UPDATE cases SET frame_start = '2020-01-01' WHERE frame_start IS NOT NULL",
    "the cap of a frame": "UPDATE cases SET cap_kroner = 90000 WHERE cap_kroner IS NOT NULL",
    "who called": "UPDATE decisions SET application = 'others' WHERE case_no IS NOT NULL",
    "who called about no case": "UPDATE decisions SET application = 'others' WHERE case_no IS NULL",
    "that an approver called": "UPDATE decisions SET by_approver = NOT by_approver",
    "the outcome of a call": "UPDATE decisions SET outcome = 'unchanged' WHERE outcome = 'ordered'",
    "a refusal": "UPDATE decisions SET refused_text = 'other words' WHERE outcome = 'refused'",
    "that there was a call": "DELETE FROM decisions WHERE case_no IS NOT NULL",
    "that there was a call about no case": "DELETE FROM decisions WHERE case_no IS NULL",
    "a call that never was": "UPDATE decisions SET message_no = 1000000 WHERE message_no = (SELECT min(message_no) FROM decisions)",
    "what became of a decision": "UPDATE orders SET state = 'accepted' WHERE state = 'rejected'",
    "the headers of a call": "UPDATE messages SET headers = convert_to(replace(convert_from(headers, 'UTF8'), 'toys', 'tots'), 'UTF8')",
}
_TABLES = ("cases", "decisions", "orders", "messages")


@pytest.fixture(scope="module")
def tampered(kvitt_server: TestServer) -> Iterator[Site]:
    """A hub that is to be tampered with, and mended."""
    with kvitt_server.database() as conninfo:
        site = Site(conninfo)
        site.decide(line("T1", "d1", cap=900), b"no line", line("T2", "d1", kroner=0), by=BY_APPROVER)
        site.settle([receipt_with(each, "08", "Nei") for each in site.exchange()])
        site.decide(line("T1", "d2", "d1", 600), line("T1", "d3", "d2", 700))
        for table in _TABLES:
            site.connection.execute(f"CREATE TABLE saved_{table} AS TABLE {table}".encode())
        assert site.differences() == []
        yield site
        site.close()


@pytest.mark.parametrize("what", TAMPERED)
def test_the_check_finds_what_was_tampered_with(tampered: Site, what: str) -> None:
    assert tampered.connection.execute(TAMPERED[what].encode()).rowcount
    found = tampered.differences()
    for table in _TABLES:
        tampered.connection.execute(f"TRUNCATE {table} CASCADE".encode())
        tampered.connection.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE saved_{table}".encode())
    assert found
