"""Runs over orders with numbers of their own: each order once, and once more when it is answered late, whatever its age (rapid §4.4).

Only what is new or was left open is looked at; a reading of everything that was ever stored says what each run must have.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.disbursement.operate import Operate
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Run, RunState, messages
from kvitt.disbursement.resolve import Resolve
from kvitt.kernel.operators import Operator
from kvitt.testing import Hub, TestServer, hub
from support.reconciled import BY_KARI, KARI, MONDAY, counts, make, put_need, reconcile, reconciled_site, texts
from support.tried import tried

AREA = "SPREF"
TWO = Operator("kari", "never meant to leave", "ola")


@pytest.fixture
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with reconciled_site(kvitt_server) as made:
        yield made


def beginning(site: Hub, first_day: date) -> Reconcile:
    """What makes the runs of a hub whose areas begin on a day."""
    return Reconcile(site.connection, site.ports, site.clock, first_day=first_day)


def report(site: Hub, first_day: date) -> Run:
    """The next run of such a hub."""
    days = beginning(site, first_day).next_range(AREA)
    assert days is not None
    return beginning(site, first_day).make(AREA, days, BY_KARI)


@pytest.mark.parametrize("is_sent_before_the_first_run", [True, False])
def test_an_order_made_before_the_first_day_that_leaves_on_it_or_later_is_reported_once(
    site: Hub, *, is_sent_before_the_first_run: bool
) -> None:
    """Whoever reported until then has had none that had not left."""
    tuesday = (MONDAY + timedelta(days=1)).date()
    put_need(site)
    site.run()
    put_need(site)
    site.run("intake")
    site.clock.advance(days=1)
    if is_sent_before_the_first_run:
        site.run()
    put_need(site)
    site.run("intake")
    site.clock.advance(days=1)
    made = [report(site, tuesday)]
    site.run()
    site.clock.advance(days=1)
    made.append(report(site, tuesday))
    site.clock.advance(days=1)
    made.append(report(site, tuesday))
    assert [run.orders for run in made] == ([1, 1, 0] if is_sent_before_the_first_run else [0, 2, 0])
    days = "SELECT o.day FROM reconciled_orders AS e JOIN orders AS o ON o.order_id = e.order_id ORDER BY o.day"
    assert [day for (day,) in site.connection.execute(days)] == [MONDAY.date(), tuesday]


def test_an_order_that_left_before_the_first_day_is_somebody_elses_even_if_it_is_answered_later(site: Hub) -> None:
    tuesday = (MONDAY + timedelta(days=1)).date()
    site.rail.fault(delay=1, delay_seconds=40 * 3600.0)
    put_need(site)
    site.run()
    site.clock.advance(days=2)
    site.run()
    assert site.connection.execute("SELECT state FROM orders").fetchall() == [("accepted",)]
    assert report(site, tuesday).state is RunState.EMPTY


def test_a_run_lies_between_its_own_orders_and_not_between_days(site: Hub) -> None:
    """By Oslo's hours, and by the least and the greatest of their numbers."""
    for hours in (1, 3, 4):
        site.clock.advance(hours=hours)
        put_need(site)
        site.run()
    site.clock.advance(days=1)
    made = make(site, AREA)
    keys = "SELECT min(reconciliation_key)::text, max(reconciliation_key)::text FROM orders"
    assert site.connection.execute(keys).fetchall() == [(made.first_key, made.last_key)]
    first, data, last = messages(site.connection, made.run_no)
    assert [texts([data], f"periode/datoAvstemt{end}") for end in ("Fom", "Tom")] == [["2026062911"], ["2026062918"]]
    assert texts([first, data, last], "aksjon/nokkelFom") == [made.first_key] * 3
    assert texts([first, data, last], "aksjon/nokkelTom") == [made.last_key] * 3


def test_an_order_that_was_withdrawn_is_left_open_no_longer(site: Hub) -> None:
    put_need(site)
    site.run("intake")
    site.clock.advance(days=1)
    assert make(site, AREA).state is RunState.EMPTY
    ((order_id,),) = site.connection.execute("SELECT order_id::text FROM reports_open").fetchall()
    Operate(site.connection, site.clock, site.ports).withdraw(order_id, TWO)
    site.clock.advance(days=1)
    assert make(site, AREA).state is RunState.EMPTY
    assert site.connection.execute("SELECT FROM reports_open").fetchall() == []


def the_rail_has_it_all_the_same(site: Hub, order_id: str) -> None:
    """An order that was taken back is accepted, as after a store was put back; two people adopt that."""
    ((message,),) = site.connection.execute("SELECT message FROM orders WHERE order_id = %s", (order_id,)).fetchall()
    site.rail.reply(bytes(message).replace(b"<oppdrag-110>", b"<mmel><alvorlighetsgrad>00</alvorlighetsgrad></mmel><oppdrag-110>"))
    site.run("receiver")
    Resolve(site.connection, site.clock, site.ports).adopt(order_id, TWO)


@pytest.mark.parametrize("runs_before", [0, 1, 2])
@pytest.mark.parametrize("is_open", [True, False])
def test_an_order_that_was_taken_back_and_that_the_rail_has_is_reported_once(site: Hub, *, runs_before: int, is_open: bool) -> None:
    """Whether a run has passed over its day or not, and whether it was left open there before it was taken back."""
    put_need(site)
    site.run("intake")
    ((order_id,),) = site.connection.execute("SELECT order_id::text FROM orders").fetchall()
    if is_open:
        site.clock.advance(days=1)
        assert make(site, AREA, BY_KARI).state is RunState.EMPTY
    Operate(site.connection, site.clock, site.ports).withdraw(order_id, TWO)
    for _ in range(runs_before):
        site.clock.advance(days=1)
        assert make(site, AREA, BY_KARI).state is RunState.EMPTY
    the_rail_has_it_all_the_same(site, order_id)
    site.clock.advance(days=1)
    assert counts(make(site, AREA, BY_KARI)) == {"accepted": 1}
    for _ in range(2):
        site.clock.advance(days=1)
        assert make(site, AREA, BY_KARI).state is RunState.EMPTY
    assert site.connection.execute("SELECT FROM reports_open").fetchall() == []


def test_a_run_of_a_store_from_before_the_mark_reports_what_the_ones_before_have_not(site: Hub) -> None:
    site.rail.fault(delay=1, delay_seconds=40 * 3600.0)
    for _ in range(2):
        put_need(site)
        site.run()
    put_need(site)
    site.run("intake")
    site.clock.advance(days=1)
    assert counts(make(site, AREA)) == {"accepted": 1, "missing": 1}
    site.connection.execute("UPDATE reconciled_areas SET whole_until = NULL")
    site.connection.execute("DELETE FROM reports_open")
    site.clock.advance(days=1)
    site.run()
    assert counts(make(site, AREA)) == {"accepted": 2}
    assert site.connection.execute("SELECT FROM reports_open").fetchall() == []


def test_the_check_finds_what_was_left_open_and_that_no_run_looked_at(database: str) -> None:
    with hub(conninfo=database, start=MONDAY) as site:
        site.rail.fault(delay=1, delay_seconds=40 * 3600.0)
        put_need(site)
        site.run()
        put_need(site)
        site.run("intake")
        site.clock.advance(days=1)
        make(site, AREA)
        site.connection.execute("DELETE FROM reports_open")
        site.clock.advance(days=1)
        site.run()
        assert site.findings() == []
        site.clock.advance(days=1)
        make(site, AREA)
        assert sorted(each.partition(" had ")[2].partition(" when ")[0] for each in site.findings()) == ["been answered", "left"]


ACTS = st.lists(
    st.sampled_from(
        [
            "answered",
            "silent",
            "late",
            "unsent",
            "send",
            "withdraw",
            "adopt",
            "day",
            "day",
            "report",
            "early",
            "again newest",
            "again older",
        ]
    ),
    min_size=3,
    max_size=14,
)


@pytest.fixture(scope="module")
def lived(kvitt_server: TestServer) -> Iterator[Hub]:
    with reconciled_site(kvitt_server) as made:
        yield made


def expected(site: Hub, last: date, replaced: int | None = None) -> Mapping[str, str]:
    """The orders of a run up to a day by the contract's own words, from all orders and all that was ever reported."""
    rows = """SELECT e.order_id::text, e.bucket FROM reconciled_orders AS e JOIN reconciliation_runs AS n ON n.run_no = e.run_no
              WHERE n.state <> 'replaced' AND n.run_no IS DISTINCT FROM %s AND n.area = %s ORDER BY e.run_no"""
    reported: dict[str, str] = dict(site.connection.execute(rows, (replaced, AREA)).fetchall())
    found = {}
    for order_id, state, has_left in site.connection.execute(
        "SELECT order_id::text, state, sent_at IS NOT NULL FROM orders WHERE area = %s AND day <= %s", (AREA, last)
    ):
        bucket = state if state in ("accepted", "rejected") else "missing"
        if has_left and state != "withdrawn" and (order_id not in reported or (reported[order_id] == "missing" and bucket != "missing")):
            found[order_id] = bucket
    return found


def reported(site: Hub, run: Run) -> Mapping[str, str]:
    rows = site.connection.execute("SELECT order_id::text, bucket FROM reconciled_orders WHERE run_no = %s", (run.run_no,))
    return dict(rows.fetchall())


def do(site: Hub, what: str) -> None:
    """An act."""
    match what:
        case "report" | "early" | "again newest" | "again older":
            do_report(site, what)
        case "send":
            site.run("sender", "emulator", "receiver", "relay")
        case "withdraw":
            for (order_id,) in site.connection.execute("SELECT order_id::text FROM orders WHERE state = 'ready' LIMIT 1").fetchall():
                Operate(site.connection, site.clock, site.ports).withdraw(order_id, TWO)
        case "adopt":
            for (order_id,) in site.connection.execute("SELECT order_id::text FROM orders WHERE state = 'withdrawn' LIMIT 1").fetchall():
                the_rail_has_it_all_the_same(site, order_id)
        case "day":
            site.clock.advance(days=1)
            site.run("emulator", "receiver", "relay")
        case fate:
            faults: Mapping[str, Any] = {"silent": {"swallow": 1}, "late": {"delay": 1, "delay_seconds": 30 * 3600.0}}.get(fate, {})
            site.rail.fault(**faults)
            put_need(site)
            site.run("intake", *(() if fate == "unsent" else ("sender", "emulator", "receiver", "relay")))


def do_report(site: Hub, what: str) -> None:
    """A run, or one in the place of another, has what the contract's words give."""
    works = reconcile(site)
    if what in ("report", "early"):
        days = works.next_range(AREA, early=what == "early")
        if days is not None:
            wanted = expected(site, days.last)
            assert reported(site, works.make(AREA, days, BY_KARI, early=what == "early")) == wanted
        return
    some = "SELECT run_no, last_day FROM reconciliation_runs WHERE area = %s AND state <> 'replaced' ORDER BY run_no DESC OFFSET %s LIMIT 1"
    for run_no, last in site.connection.execute(some, (AREA, 0 if what == "again newest" else 2)).fetchall():
        wanted = expected(site, last, run_no)
        assert reported(site, works.again(run_no, KARI)) == wanted


@tried(12, least=3)
@given(acts=ACTS)
def test_whatever_becomes_of_orders_a_run_has_those_that_the_contract_names(lived: Hub, acts: list[str]) -> None:
    for act in acts:
        do(lived, act)
    do(lived, "day")
    do(lived, "report")
    lived.check()
