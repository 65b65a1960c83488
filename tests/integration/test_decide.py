"""The service that takes decisions by calls: answers are durable and the same for all who ask the same, whatever else goes on."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import psycopg
import pytest

from kvitt.disbursement.acts import Acts, Wanted
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.decide import Decided, DecisionService
from kvitt.disbursement.decisions import DecisionOutcome
from kvitt.disbursement.values import Scheme
from kvitt.errors import ResultUnknown
from kvitt.kernel import commits
from kvitt.kernel.database import connect
from kvitt.testing import TestServer
from support import decide_process
from support.called_contract import BY_MACHINE, CALLED, line
from support.called_stage import HUB, Site
from support.commit_proxy import Cut, Proxy, proxied
from support.doomed_process import ended

SECONDS = 30.0


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Site]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    with kvitt_server.database() as conninfo:
        site = Site(conninfo)
        yield site
        differences = site.differences()
        site.close()
        assert differences == []


@pytest.fixture(scope="module")
def service(site: Site) -> Iterator[DecisionService]:
    """The service."""
    with serving(site, site.conninfo) as service:
        yield service


@contextmanager
def serving(site: Site, conninfo: str, seconds: float = SECONDS) -> Iterator[DecisionService]:
    service = DecisionService(conninfo, site.clock, HUB, seconds=seconds)
    try:
        yield service
    finally:
        service.close()


def decide(service: DecisionService, body: bytes, by: CallHeaders = BY_MACHINE) -> "Future[Decided]":
    return service.decide(CALLED, b"key", body, by, identity="d1")


def test_the_answer_says_what_was_done(service: DecisionService, site: Site) -> None:
    first = decide(service, line("S1", "d1")).result(SECONDS)
    assert (first.outcome, first.answer, first.refusal) == (DecisionOutcome.ORDERED, b"received", None)
    assert site.one("SELECT state FROM messages WHERE message_no = %s", first.message_no) == "derived"
    again = decide(service, line("S1", "d1")).result(SECONDS)
    assert (again.outcome, again.answer) == (DecisionOutcome.REPEATED, b"received")
    refused = decide(service, line("S1", "d2", "d1", 700)).result(SECONDS)
    assert refused.outcome is DecisionOutcome.REFUSED
    assert refused.refusal
    assert (refused.refusal.status, refused.refusal.text) == (423, "the previous decision is not finished")
    unread = decide(service, b"no line").result(SECONDS)
    assert unread.refusal
    assert unread.refusal.status == 400
    unchanged = decide(service, line("S2", "d1", kroner=0)).result(SECONDS)
    assert unchanged.outcome is DecisionOutcome.UNCHANGED


def test_fifty_equal_calls_at_once_are_one_decision(service: DecisionService, site: Site) -> None:
    decided = [each.result(SECONDS) for each in [decide(service, line("S3", "d1")) for _ in range(50)]]
    assert Counter(each.outcome for each in decided) == {DecisionOutcome.ORDERED: 1, DecisionOutcome.REPEATED: 49}
    assert {each.answer for each in decided} == {b"received"}
    assert len(site.order_states("S3")) == 1


def test_of_two_different_calls_at_once_one_wins(service: DecisionService, site: Site) -> None:
    for number in range(10):
        case = f"W{number}"
        decided = [each.result(SECONDS) for each in [decide(service, line(case, name, kroner=500)) for name in ("a", "b")]]
        assert [each.outcome for each in decided] == [DecisionOutcome.ORDERED, DecisionOutcome.REFUSED]
        assert len(site.order_states(case)) == 1


def test_a_call_about_a_case_that_somebody_holds_is_answered_when_it_is_free(service: DecisionService, site: Site) -> None:
    decide(service, line("S4", "d1")).result(SECONDS)
    site.finish()
    with connect(site.conninfo) as stranger, stranger.transaction():
        stranger.execute("SELECT FROM cases WHERE case_id = 'S4' FOR UPDATE")
        held = decide(service, line("S4", "d2", "d1", 600))
        assert decide(service, line("S5", "d1")).result(SECONDS).outcome is DecisionOutcome.ORDERED, "nobody else waits"
        assert not held.done()
    site.hub.run("resume")
    assert held.result(SECONDS).outcome is DecisionOutcome.ORDERED
    site.finish()
    assert site.order_states("S4") == ["accepted", "accepted"]


def test_who_waits_too_long_for_a_case_hears_that_the_result_is_unknown_and_nothing_is_lost(service: DecisionService, site: Site) -> None:
    decide(service, line("S6", "d1")).result(SECONDS)
    site.finish()
    with serving(site, site.conninfo, seconds=0.1) as impatient, connect(site.conninfo) as stranger, stranger.transaction():
        stranger.execute("SELECT FROM cases WHERE case_id = 'S6' FOR UPDATE")
        with pytest.raises(ResultUnknown, match="look for decision d1"):
            decide(impatient, line("S6", "d2", "d1", 600)).result(SECONDS)
    site.hub.run("resume")
    assert decide(service, line("S6", "d2", "d1", 600)).result(SECONDS).outcome is DecisionOutcome.REPEATED
    site.finish()
    assert site.order_states("S6") == ["accepted", "accepted"]


@pytest.fixture(scope="module")
def way(site: Site) -> Iterator[tuple[Proxy, str]]:
    with proxied(site.conninfo) as found:
        yield found


def test_a_commit_whose_answer_was_lost_is_answered_as_what_was_done(site: Site, way: tuple[Proxy, str]) -> None:
    proxy, conninfo = way
    with serving(site, conninfo) as service:
        decide(service, line("L1", "d1")).result(SECONDS)
        proxy.cut(Cut.AFTER)
        assert decide(service, line("L2", "d1")).result(SECONDS).outcome is DecisionOutcome.ORDERED
        assert decide(service, line("L2", "d1")).result(SECONDS).outcome is DecisionOutcome.REPEATED
    assert len(site.order_states("L2")) == 1


def test_a_commit_that_was_never_sent_is_done_at_the_second_attempt(site: Site, way: tuple[Proxy, str]) -> None:
    proxy, conninfo = way
    with serving(site, conninfo) as service:
        decide(service, line("L3", "d1")).result(SECONDS)
        proxy.cut(Cut.BEFORE)
        assert decide(service, line("L4", "d1")).result(SECONDS).outcome is DecisionOutcome.ORDERED
    assert len(site.order_states("L4")) == 1


def test_where_nobody_can_say_the_result_is_unknown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "LOOK_SECONDS", 0.3)
    with proxied(site.conninfo) as (proxy, conninfo), serving(site, conninfo) as service:
        decide(service, line("L5", "d1")).result(SECONDS)
        proxy.cut(Cut.AFTER, shut=True)
        with pytest.raises(ResultUnknown, match="look for decision d1"):
            decide(service, line("L6", "d1")).result(SECONDS)
    with serving(site, site.conninfo) as service:
        assert decide(service, line("L6", "d1")).result(SECONDS).outcome is DecisionOutcome.REPEATED


def test_without_a_server_nothing_is_done(site: Site) -> None:
    with proxied(site.conninfo) as (proxy, conninfo), serving(site, conninfo) as service:
        decide(service, line("L7", "d1")).result(SECONDS)
        proxy.close()
        with pytest.raises(psycopg.OperationalError):
            decide(service, line("L8", "d1")).result(SECONDS)
    assert site.order_states("L8") == []


def test_the_chain_of_a_case_names_who_called_and_why_they_were_refused(service: DecisionService, site: Site) -> None:
    by = CallHeaders("put", "v2", "toys", "A100007", approver=True)
    decide(service, line("S9", "d1"), by).result(SECONDS)
    decide(service, line("S9", "d2", "d1", 700)).result(SECONDS)
    with connect(site.conninfo) as connection:
        refused, ordered = Acts(connection).listed(Wanted(case=(Scheme.VALP, "S9")), 10)
        shown = Acts(connection).show(refused.entry)
    assert (ordered.by, ordered.reason, ordered.subject.partition(": ")[2]) == ("A100007", None, "put by toys")
    assert (refused.by, refused.reason) == ("toys", "423 the previous decision is not finished")
    assert (shown.by, shown.reason, shown.subject) == (refused.by, refused.reason, refused.subject)


def test_who_called_can_not_be_changed_unseen(service: DecisionService, site: Site) -> None:
    by = CallHeaders("post", "v2", "toys", "A100008")
    number = decide(service, line("S10", "d1"), by).result(SECONDS).message_no
    change = "UPDATE messages SET headers = replace(convert_from(headers, 'UTF8'), %s, %s)::bytea WHERE message_no = %s"
    with connect(site.conninfo) as connection:
        connection.execute(change, ("A100008", "A100009", number))
        assert any("is not what the stored message" in each or "entry" in each for each in site.differences())
        connection.execute(change, ("A100009", "A100008", number))
    assert site.differences() == []


@pytest.mark.parametrize(("die_at", "repeat"), [("submit.before_commit", "ordered"), ("submit.after_commit", "repeated")])
def test_whoever_is_killed_between_leaves_all_of_a_decision_or_nothing(site: Site, die_at: str, repeat: str) -> None:
    case = f"K-{repeat}"
    assert ended(decide_process.main, site.conninfo, case, die_at=die_at) == -signal.SIGKILL
    assert len(site.order_states(case)) == (repeat == "repeated")
    # Whoever comes next has nothing of the process before but what is stored.
    assert decide_process.main(site.conninfo, case) == repeat
    assert len(site.order_states(case)) == 1
