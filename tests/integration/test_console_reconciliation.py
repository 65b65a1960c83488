"""Reconciliation in the console: a month of days, a run beside what its orders add up to, and what has changed since it was made."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kvitt.api.console.pages import reconciliation
from kvitt.testing import Hub, TestServer
from support.console_stage import LOOKS, Browser, console_site
from support.hub_messages import PERSON
from support.reconciled import make, put, reconciled_site


@pytest.fixture
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with reconciled_site(kvitt_server) as made:
        yield made


@pytest.fixture
def browser(site: Hub, tmp_path: Path) -> Iterator[Browser]:
    with console_site(site.conninfo, tmp_path) as made:
        yield made.browser(LOOKS)


def test_a_run_stands_in_its_days_with_its_totals_beside_what_its_orders_add_up_to(site: Hub, browser: Browser) -> None:
    assert "No run is about a day of this month" in browser.get("/reconciliation").words
    put(site)
    site.run()
    site.clock.advance(days=1)
    run = make(site)
    month = browser.get("/reconciliation")
    assert f'<a href="/reconciliation/{run.run_no}">' in month.text
    assert "none" in month.words, "a day without a run is grey"
    assert "tone-person" not in month.text.partition("<main")[2]
    shown = browser.get(f"/reconciliation/{run.run_no}")
    assert "● the same" in shown.words
    assert "▲ differs" not in shown.words
    assert "Message 1 as it leaves" in shown.words
    assert PERSON not in shown.text
    with site.connection.transaction():
        site.connection.execute("UPDATE orders SET sum_kroner = sum_kroner + 1")
    assert "▲ differs" in browser.get(f"/reconciliation/{run.run_no}").words
    with site.connection.transaction():
        site.connection.execute("UPDATE orders SET sum_kroner = sum_kroner - 1")
    (looked,) = site.connection.execute("SELECT what FROM kvitt_views.looks ORDER BY look_no LIMIT 1").fetchone() or ("",)
    assert looked == f"run {run.run_no} of reconciliation"


def test_what_was_answered_after_the_run_is_told_and_the_run_stays(site: Hub, browser: Browser) -> None:
    site.rail.fault(delay=1, delay_seconds=2 * 24 * 3600.0)
    case_id = put(site)
    site.run()
    site.clock.advance(days=1)
    run = make(site)
    assert run.missing == 1
    assert "no order of this run has changed its state" in browser.get(f"/reconciliation/{run.run_no}/since").words
    site.clock.advance(days=2)
    site.run()
    since = browser.get(f"/reconciliation/{run.run_no}/since").words
    assert case_id in since
    assert "missing ● accepted by the rail" in since
    assert re.search(r"receipt \d+", since)
    assert re.search(r"missing 1 ", browser.get(f"/reconciliation/{run.run_no}").words), "the run is as it was made"


def test_a_run_of_many_orders_is_looked_through_part_by_part_and_added_up_for_who_asks(
    site: Hub, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        put(site)
    site.run()
    site.clock.advance(days=1)
    run = make(site)
    monkeypatch.setattr(reconciliation, "_LOOKED_THROUGH", 2)
    monkeypatch.setattr(reconciliation, "_ADDED_UP_AT_ONCE", 4)
    ids = sorted(
        order_id for (order_id,) in site.connection.execute("SELECT order_id FROM reconciled_orders WHERE run_no = %s", [run.run_no])
    )
    settled = "UPDATE orders SET settled_at = settled_at + %s WHERE order_id = ANY (%s)"
    site.connection.execute(settled, [timedelta(days=30), ids[1:4:2]])
    pages = [browser.get(f"/reconciliation/{run.run_no}/since")]
    while "Older" in pages[-1].words:
        pages.append(browser.get(pages[-1].link("Older")))
    assert [[f"/orders/{each}" in page.text for each in ids] for page in pages] == [
        [False, True, False, False, False],
        [False, False, False, True, False],
        [False, False, False, False, False],
    ]
    assert "Looked through 2 of its 5 orders" in pages[0].words.replace("\u00a0", " ")
    assert "no order of this run" not in "".join(page.words for page in pages)
    taken_out = browser.get(f"/reconciliation/{run.run_no}/since.csv").text
    assert [str(each) in taken_out for each in ids] == [False, True, False, True, False]
    site.connection.execute(settled, [timedelta(days=-30), ids[1:4:2]])
    shown = browser.get(f"/reconciliation/{run.run_no}")
    assert ("not added up yet" in shown.words, "the same" in shown.words) == (True, False)
    added = browser.get(shown.link("Add up its 5 orders"))
    assert ("not added up yet" in added.words, "the same" in added.words) == (False, True)


@pytest.mark.parametrize(
    "path", ["/reconciliation?month=2026-13", "/reconciliation?month=9999-12", "/reconciliation?month=x", "/reconciliation/1?after=x"]
)
def test_a_month_that_is_none_is_refused(browser: Browser, path: str) -> None:
    assert browser.get(path).status in (400, 404)


def test_a_run_that_is_not_there_is_a_page_that_says_so(browser: Browser) -> None:
    assert browser.get("/reconciliation/999").status == 404
    assert browser.get("/reconciliation/999/since").status == 404
