"""Payouts and the ledger in the console: lists by key, a payout with all that became of it, an account with what is held of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kvitt.api.console import frame
from kvitt.api.console.pages import ledger, payouts
from kvitt.testing import TestServer
from support.console_pages import HOSTILE_ID, pay_out
from support.console_stage import LOOKS, Browser, console_site
from support.ledger_stage import hold, moved
from support.payout_stage import PayoutStage, payout_stage, wanted


@pytest.fixture(scope="module")
def stage(kvitt_server: TestServer) -> Iterator[PayoutStage]:
    """One payout that is held, one that is confirmed, one that is cancelled after it was confirmed."""
    with kvitt_server.database() as conninfo:
        pay_out(conninfo)
        with payout_stage(conninfo) as made:
            yield made


@pytest.fixture(scope="module")
def browser(stage: PayoutStage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with console_site(stage.conninfo, tmp_path_factory.mktemp("console")) as made:
        yield made.browser(LOOKS)


def ids(text: str) -> list[str]:
    return re.findall(r'<th scope="row">\s*<a href="/payouts/one\?id=([^"]*)"', text)


def test_payouts_are_paged_through_by_every_filter_without_leaving_out_or_doubling_any(
    browser: Browser, stage: PayoutStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "PAGE_ROWS", 2)
    monkeypatch.setattr(payouts, "_LOOKED_THROUGH", 2)
    for number in range(4):
        stage.payouts.create(wanted(f"list-{number}"))
    stage.payouts.confirm("list-1")
    for query, status in (
        ("", None),
        ("?party=party-1", None),
        ("?status=unpaid", "unpaid"),
        ("?status=confirmed&party=party-1", "confirmed"),
    ):
        found, path = list[str](), f"/payouts{query}"
        while True:
            page = browser.get(path)
            found += ids(page.text)
            if 'rel="next"' not in page.text:
                break
            path = page.link("Older")
        (there,) = stage.connection.execute("SELECT count(*) FROM payouts.payouts WHERE coalesce(status = %s, true)", [status]).fetchone()
        assert len(found) == len(set(found)) == there, query
    assert "None that fit" in browser.get("/payouts?party=nobody").words
    for wrong in ("after=x", "after=2026-01-01~zz", "after=2026-01-01~00", "status=lost", "party=%00"):
        assert browser.get(f"/payouts?{wrong}").status == 400, wrong


@pytest.mark.parametrize("path", ["/ledger", "/ledger/accounts/1", "/dead-letters", "/simulations", "/topics/records?topic=x"])
def test_a_place_beyond_all_numbers_of_the_store_is_none(browser: Browser, path: str) -> None:
    assert browser.get(f"{path}{'&' if '?' in path else '?'}after=99999999999999999999").status == 400


def test_a_payout_shows_its_postings_its_fee_and_every_event(browser: Browser) -> None:
    shown = browser.get("/payouts/one?id=p-2").words
    assert "○ cancelled · 9,80 RUB · fee 0,25 RUB" in shown
    for part in ("fixed", "Sequence", "held, and not paid yet", "● confirmed", "Plan that reverses it", "revert_payout_p-2", "tool-1"):
        assert part in shown, part
    assert "Attempts at the other ledger" not in shown
    assert browser.get("/payouts/one?id=p-999").status == 404
    assert browser.get("/payouts/one").status == 404


def test_an_id_that_others_chose_leads_to_its_page_whatever_it_is_made_of(browser: Browser) -> None:
    listed = browser.get("/payouts?status=unpaid")
    (path,) = [each for each in ids(listed.text) if "script" in each]
    shown = browser.get(f"/payouts/one?id={path}")
    assert (shown.status, "<script>alert" in shown.text) == (200, False)
    plan = browser.get(re.search(r'href="(/ledger/plans/one\?id=payout_[^"]*)"', shown.text)[1])  # type: ignore[index]
    assert plan.status == 200
    assert "of the payout" in plan.words
    assert browser.get(re.search(r'href="(/payouts/one\?id=[^"]*)"', plan.text)[1]).url == shown.url  # type: ignore[index]


def test_an_account_shows_the_open_plans_that_make_the_difference(
    browser: Browser, stage: PayoutStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settlement, own, least, most) = stage.connection.execute(
        "SELECT account_id, posted, available_min, available_max FROM ledger.accounts AS a "
        "WHERE EXISTS (SELECT FROM ledger.postings AS p WHERE p.source = a.account_id AND p.plan_id = 'payout_p-1') "
        "ORDER BY account_id LIMIT 1"
    ).fetchone()
    assert own != least
    shown = browser.get(f"/ledger/accounts/{settlement}")
    for amount in (own, least, most):
        assert f'<data class="amount" value="{amount}">' in shown.text
    held = shown.words.partition("What is held")[2].partition("Entries")[0]
    assert "payout_<script>" in held
    assert "They make up the whole difference." in held
    assert "payout_p-1" not in held
    monkeypatch.setattr(ledger, "_LOOKED_THROUGH", 0)
    assert "Other open plans" in browser.get(f"/ledger/accounts/{settlement}").words
    assert browser.get("/ledger/accounts/999999").status == 404
    assert browser.get("/ledger/accounts/99999999999999999999").status in (400, 404)


def test_a_plan_is_netted_as_the_ledger_does(browser: Browser, stage: PayoutStage) -> None:
    source, target, idle = stage.settlement, stage.system, stage.bank
    stage.post([hold("netted", moved(source, target, 300), moved(target, source, 100))])
    stage.post([hold("round", moved(source, idle, 50), moved(idle, source, 50))])
    shown = browser.get(f"/ledger/accounts/{source}").words.replace("\u00a0", " ")
    held = shown.partition("What is held")[2].partition("Entries")[0]
    assert "netted" in held
    assert "\u22122,00 RUB" in held
    assert "round" not in held
    assert "They make up the whole difference." in held
    plan = browser.get("/ledger/plans/one?id=netted").words
    assert "◐ held" in plan
    assert "Postings of batch 1" in plan
    assert browser.get("/ledger/plans/one?id=none").status == 404


def test_entries_are_paged_through_and_a_search_finds_payouts_plans_and_accounts(
    browser: Browser, stage: PayoutStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "PAGE_ROWS", 1)
    found, path = list[str](), f"/ledger/accounts/{stage.settlement}"
    while True:
        page = browser.get(path)
        found += re.findall(r'<th scope="row" class="number">(\d+)</th>', page.text.partition("<h2>Entries")[2])
        if 'rel="next"' not in page.text:
            break
        path = page.link("Older")
    (entries,) = stage.connection.execute("SELECT entries FROM ledger.accounts WHERE account_id = %s", [stage.settlement]).fetchone()
    assert found == [str(each) for each in range(entries, 0, -1)]
    assert urlsplit(browser.send("/search", q="p-1").url).path == "/payouts/one"
    assert {"p-1", "p-2"} <= set(re.findall(r"p-\d", browser.send("/search", q="p-").words)), "by its beginning"
    assert urlsplit(browser.send("/search", q="payout_p-1").url).path == "/ledger/plans/one"
    assert f"/ledger/accounts/{stage.settlement}" in (
        browser.send("/search", q=str(stage.settlement)).text + browser.send("/search", q=str(stage.settlement)).url
    )
    assert HOSTILE_ID.startswith("<script>")


def test_pages_without_payouts_say_what_would_be_here(database: str, tmp_path: Path) -> None:
    with console_site(database, tmp_path) as site:
        browser = site.browser(LOOKS)
        assert "No payout was ever asked for" in browser.get("/payouts").words
        assert "Each account of the ledger would stand here" in browser.get("/ledger").words
