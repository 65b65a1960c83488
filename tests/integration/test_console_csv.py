"""Lists as CSV: the rows of the page by its own query, masked as it is, with a head, and noted where they are about people."""

import csv
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest

from kvitt.api.console import exports, frame
from kvitt.kernel.database import Connection
from support.console_pages import HOSTILE, live_with_hostile_text
from support.console_stage import APPROVES, LOOKS, Browser, ConsoleSite, Shown


@pytest.fixture(scope="module")
def conninfo(conninfo: str) -> str:
    live_with_hostile_text(conninfo)
    return conninfo


@pytest.fixture
def browser(site: ConsoleSite) -> Browser:
    return site.browser(APPROVES)


def lines(shown: Shown, between: str = ",") -> list[list[str]]:
    return list(csv.reader(shown.text.removeprefix("\ufeff").splitlines(keepends=True), delimiter=between))


def rows(shown: Shown, between: str = ",") -> Sequence[dict[str, str]]:
    """The rows by their heads, which stand behind five lines about the file."""
    found = lines(shown, between)
    return [dict(zip(found[5], each, strict=True)) for each in found[6:]]


def test_orders_are_taken_out_whole_by_the_filter_of_the_page_in_both_forms(
    browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_PART_ROWS", 2)
    there = {str(each) for (each,) in connection.execute("SELECT order_id FROM orders")}
    page = browser.get("/orders")
    plain = browser.get(page.link("for programs"))
    assert plain.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="kvitt-orders-\d{8}T\d{6}\.csv"', plain.headers["content-disposition"])
    assert [each["Order"] for each in rows(plain)] == re.findall(r'<th scope="row"><a href="/orders/([0-9a-f-]+)"', page.text)
    assert {each["Order"] for each in rows(plain)} == there
    assert lines(plain)[0] == ["kvitt", "Orders"]
    assert lines(plain)[2] == ["Filter", "none"]
    assert lines(plain)[3] == ["At most", "100000 rows"]
    accepted = browser.get("/orders.csv?state=accepted&least=1&form=excel")
    assert accepted.text.startswith("\ufeff")
    assert lines(accepted, ";")[2] == ["Filter", "state accepted, least 1"]
    assert {each["State"] for each in rows(accepted, ";")} == {"accepted"}
    assert browser.get("/orders.csv?state=nonsense").status == 400
    assert browser.get("/orders.csv?form=nonsense").status == 400
    assert browser.get("/orders.csv?area=%00").status == 400


def test_what_a_page_masks_is_masked_and_taking_it_out_is_noted(site: ConsoleSite, browser: Browser, connection: Connection) -> None:
    persons = {str(each) for (each,) in connection.execute("SELECT person FROM cases UNION SELECT ordered_for FROM cases") if each}
    (run_no,) = connection.execute("SELECT min(run_no) FROM reconciliation_runs").fetchone() or (0,)
    (account,) = connection.execute("SELECT min(account_id) FROM ledger.accounts WHERE entries > 0").fetchone() or (0,)
    paths = ["/orders.csv", "/payouts.csv", "/approvals.csv", "/audit.csv", f"/reconciliation/{run_no}/since.csv"]
    for path in (*paths, f"/ledger/accounts/{account}/statement.csv"):
        shown = browser.get(path)
        assert (shown.status, urlsplit(shown.url).path) == (200, path)
        assert len(rows(shown)) > 0 or "since" in path, path
        assert not [each for each in persons if each in shown.text], path
        assert not any(value.startswith(("=", "@")) for line in lines(shown) for value in line), path
        assert "\u202e" not in shown.text
    assert HOSTILE.replace("\u202e", "\ufffd") in {each["Reason"] for each in rows(browser.get("/audit.csv"))}
    noted = {str(what) for (what,) in connection.execute("SELECT what FROM kvitt_views.looks WHERE what LIKE '%as CSV%'")}
    assert noted >= {"Orders as CSV: none", "Approvals as CSV: none", "Acts as CSV: none", "Reported otherwise as CSV: none"}
    assert not any(what.startswith(("Payouts", "Statement")) for what in noted)
    assert site.browser().get("/orders.csv").url.partition("?")[0].endswith("/login")


def test_a_file_that_is_cut_or_breaks_off_says_so(browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_ROWS", 3)
    monkeypatch.setattr(exports, "_PART_ROWS", 2)
    cut = lines(browser.get("/orders.csv"))
    assert cut[-1] == ["Cut here: a file has at most 3 rows"]
    assert len(cut) == 6 + 3 + 1
    monkeypatch.setattr(exports, "MOST_ROWS", 100)
    asked = exports.Exports._part

    def fails(self: exports.Exports, *arguments: object) -> exports.CsvPart:
        if arguments[-1] is not None:
            raise TimeoutError
        return asked(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(exports.Exports, "_part", fails)
    assert lines(browser.get("/orders.csv"))[-1] == ["Broken off here: kvitt failed on this page; the log says more"]


def test_a_list_is_paged_through_both_ways(browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "PAGE_ROWS", 3)
    onward, page = [browser.get("/orders")], browser.get("/orders")
    assert "What comes before" not in page.words
    while 'rel="next"' in page.text:
        page = browser.get(page.link("Older"))
        onward.append(page)
    assert len(onward) > 2
    assert "What comes before is not on this page. Nothing follows." in page.words
    for before in reversed(onward[:-1]):
        page = browser.get(page.link("Newer"))
        found, expected = (re.findall(r'<th scope="row"><a href="/orders/([0-9a-f-]+)"', each.text) for each in (page, before))
        assert found == expected
    assert 'rel="prev"' not in page.text


def test_a_statement_of_an_account_is_of_its_period_and_its_amounts_are_drawn(site: ConsoleSite, connection: Connection) -> None:
    (account,) = connection.execute("SELECT account_id FROM ledger.entries GROUP BY 1 ORDER BY count(*) DESC LIMIT 1").fetchone() or (0,)
    days = [
        day
        for (day,) in connection.execute(
            "SELECT (at AT TIME ZONE 'Europe/Oslo')::date FROM ledger.entries WHERE account_id = %s", [account]
        )
    ]
    browser, path = site.browser(LOOKS), f"/ledger/accounts/{account}"
    page = browser.get(path)
    assert page.text.count('<svg class="chart"') == 3
    assert "Own, after each entry: the numbers" in page.words
    whole = rows(browser.get(page.link("for programs")))
    assert len(whole) == len(days)
    assert re.fullmatch(r"-?\d+\.\d\d", whole[0]["Own"])
    on_day = rows(browser.get(f"{path}/statement.csv?since={days[0]}&until={days[0]}"))
    assert len(on_day) == days.count(days[0])
    for outside in ("since=2100-01-01", "until=2001-01-01"):
        assert rows(browser.get(f"{path}/statement.csv?{outside}")) == []
        assert "None in this period" in browser.get(f"{path}?{outside}").words
    assert browser.get(f"{path}?since=soon").status == 400
