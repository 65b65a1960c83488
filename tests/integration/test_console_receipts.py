"""The list of receipts: newest first, by what each was taken for and by its code, or those that wait for a person; and the way there."""

from typing import Any

import pytest

from kvitt.api.console.pages import receipts
from kvitt.kernel.database import Connection, connect
from support.console_pages import live_with_hostile_text
from support.console_stage import LOOKS, Browser, ConsoleSite


@pytest.fixture(scope="module")
def conninfo(conninfo: str) -> str:
    live_with_hostile_text(conninfo)
    with connect(conninfo) as connection:
        connection.execute(
            "UPDATE receipts SET outcome = 'returned' WHERE receipt_no = (SELECT max(receipt_no) FROM receipts WHERE outcome = 'accepted')"
        )
    return conninfo


@pytest.fixture
def browser(site: ConsoleSite) -> Browser:
    return site.browser(LOOKS)


def column(connection: Connection, query: str, *values: object) -> list[Any]:
    return [each for (each,) in connection.execute(query.encode(), values)]


def test_receipts_stand_newest_first_each_with_its_order(browser: Browser, connection: Connection) -> None:
    page = browser.get("/receipts").text
    numbers = column(connection, "SELECT receipt_no FROM kvitt_views.receipts ORDER BY receipt_no DESC LIMIT 50")
    places = [page.index(f'href="/receipts/{number}"') for number in numbers]
    assert len(places) > 5
    assert places == sorted(places)
    for order_id in column(connection, "SELECT order_id FROM kvitt_views.receipts AS r JOIN orders USING (order_id)"):
        assert f'href="/orders/{order_id}"' in page
    assert column(connection, "SELECT what FROM kvitt_views.looks ORDER BY look_no DESC LIMIT 1") == ["receipts"]


def test_a_filter_shows_what_fits_and_says_how_far_it_has_looked(
    browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = column(connection, "SELECT code FROM kvitt_views.receipts WHERE outcome = 'rejected' LIMIT 1")
    shown = browser.get(f"/receipts?outcome=rejected&code={code}").text
    fitting = "SELECT receipt_no FROM kvitt_views.receipts WHERE outcome = 'rejected' AND code = %s"
    for number in column(connection, "SELECT receipt_no FROM kvitt_views.receipts"):
        assert (f'href="/receipts/{number}"' in shown) == (number in column(connection, fitting, code)), number
    monkeypatch.setattr(receipts, "_LOOKED_THROUGH", 2)
    assert "Looked through 2 receipts" in browser.get("/receipts?code=nothing").words
    assert browser.get("/receipts?outcome=lost").status == 400
    assert browser.get("/receipts?after=x").status == 400


def test_what_waits_for_a_person_is_a_filter_of_its_own(browser: Browser, connection: Connection) -> None:
    waiting = column(connection, "SELECT receipt_no FROM kvitt_views.open_receipts")
    assert waiting
    shown = browser.get("/receipts?open=yes").text
    for number in column(connection, "SELECT receipt_no FROM kvitt_views.receipts"):
        assert (f'href="/receipts/{number}"' in shown) == (number in waiting), number


def test_the_overview_leads_to_what_needs_a_person(browser: Browser, connection: Connection) -> None:
    page = browser.get("/").text
    for number in column(connection, "SELECT dead_no FROM kvitt_views.dead_letters WHERE state = 'open'"):
        assert f'href="/dead-letters/{number}">dead letter</a>' in page
    assert 'href="/sending">sending stopped</a>' in page
    assert 'href="/jobs">job failed</a>' in page
