"""The console in a real browser: every page narrow and wide, light and dark, without a fault, a foreign request or a barrier."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import ViewportSize

from kvitt.kernel.database import connect
from support.console_browser import Watched
from support.console_pages import live_with_hostile_text, paths
from support.console_stage import APPROVES, LOOKS, ConsoleSite

SIZES: dict[str, ViewportSize] = {"narrow": {"width": 360, "height": 740}, "wide": {"width": 1920, "height": 1080}}


@pytest.fixture(scope="module")
def conninfo(conninfo: str) -> str:
    live_with_hostile_text(conninfo)
    return conninfo


@contextmanager
def watching(chromium: Any, site: ConsoleSite, size: str, scheme: str) -> Iterator[Watched]:
    context = chromium.new_context(viewport=SIZES[size], color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"])
    yield Watched(context, site.url)
    context.close()


@pytest.fixture(params=sorted(SIZES))
def watched(chromium: Any, site: ConsoleSite, request: pytest.FixtureRequest) -> Iterator[Watched]:
    with watching(chromium, site, request.param, "light") as made:
        yield made


def barriers_and_width(watched: Watched) -> Iterator[str]:
    """What keeps people from using a page, narrow and dark; what they can not read when it is light; and where it scrolls sideways.

    A page that is made of nothing but parts of others is as they are, but for the width of what stands in them.
    """
    looks = ("narrow", "dark", watched.barriers), ("wide", "light", watched.faint)
    is_new = watched.shows_new_parts()
    for size, scheme, look in looks[: 1 + is_new]:
        watched.page.set_viewport_size(SIZES[size])
        watched.page.emulate_media(color_scheme=scheme)
        if is_new:
            yield from look()
        if watched.is_too_wide:
            yield f"{watched.page.url} scrolls sideways where it is {size}"


def test_every_page_is_without_fault_foreign_request_and_barrier(chromium: Any, site: ConsoleSite, conninfo: str) -> None:
    with watching(chromium, site, "narrow", "dark") as watched, connect(conninfo) as connection:
        page, found = watched.page, list[str]()
        page.goto(watched.url)
        found += barriers_and_width(watched)
        page.get_by_role("link", name="Log in").click()
        found += barriers_and_width(watched)
        page.get_by_role("link", name=APPROVES).click()
        for path in paths(connection):
            page.goto(f"{watched.url}{path}")
            found += barriers_and_width(watched)
        assert found == []
        assert watched.faults == []


def test_the_keyboard_alone_leads_everywhere(watched: Watched) -> None:
    watched.log_in(LOOKS)
    page = watched.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.get_by_role("heading", name="Orders").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("T1 g r")
    assert page.url.endswith("/orders"), "letters in a field are letters"
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("T1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cases/\d+$"))
    copy = page.get_by_role("button", name="copy case id")
    copy.press("Enter")
    page.get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "T1"
    page.keyboard.press("?")
    page.get_by_text("g r: Orders").wait_for()
    page.locator("summary", has_text=LOOKS).press("Enter")
    page.get_by_role("button", name="Log out").press("Enter")
    page.get_by_role("link", name="Log in").wait_for()
    assert watched.faults == []


def test_a_case_is_printed_whole_and_without_what_only_screens_need(chromium: Any, site: ConsoleSite, conninfo: str) -> None:
    with watching(chromium, site, "wide", "light") as watched, connect(conninfo) as connection:
        watched.log_in(LOOKS)
        (case_no,) = connection.execute("SELECT case_no FROM cases WHERE case_id = 'T1'").fetchone() or (0,)
        page = watched.page
        page.goto(f"{watched.url}/cases/{case_no}")
        page.emulate_media(media="print")
        assert not page.locator("header").is_visible()
        assert page.locator(".environment").is_visible()
        assert "seen by" in page.locator("footer").inner_text()
        assert [each.is_visible() for each in page.locator("details table").all()] == [True] * page.locator("details table").count()
        assert watched.faults == []
