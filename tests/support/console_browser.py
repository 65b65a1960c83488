"""A real browser on the console, which notes what a page complains of, asks for elsewhere, or keeps people from using."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, sync_playwright

from support.patience import PATIENCE_SECONDS

CHROMIUM = shutil.which("chromium")
AXE = (Path(__file__).parent / "axe/axe.min.js").read_text("utf-8")
SERIOUS = ("serious", "critical")
MOST_TABS = 150
"""Whatever is further away by the Tab key is out of reach."""
FAILED_FETCH = re.compile(r"Failed to load resource: (net::ERR_\w+|the server responded with a status of (401|503) .*)")
"""Chromium says so of each fetch that fails, whatever the page makes of it."""
FOCUSED = """() => {
    const each = document.activeElement;
    return [(each.labels?.[0] ?? each).textContent.trim(), each.closest("tr")?.textContent ?? ""];
}"""
"""How what has the focus is called, and the row in which it is."""
PARTS = """() => [...new Set([...document.querySelectorAll("body *")].map((each) => JSON.stringify([
    ...[each.parentElement, each].flatMap((one) => [one.tagName, one.className]),
    ...[...each.attributes].map((one) => one.name).sort(),
    each.getAttribute("role"),
    each.getAttribute("type"),
    each.textContent.trim() === "",
])))]"""
"""Each kind of part of a page, by what it is, what it stands in, and whether there is anything in it."""


@contextmanager
def running_chromium() -> Iterator[Any]:
    """A browser for the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page of the browser, and what it complained of and asked for elsewhere."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.url, self.faults, self._parts = url, list[str](), set[str]()
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.faults.append(f"{self.page.url}: {said.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"{self.page.url}: {error}"))
        self.page.on("request", lambda asked: urlsplit(asked.url).netloc != urlsplit(url).netloc and self.faults.append(asked.url))
        self.page.on("dialog", lambda dialog: self.faults.append(f"{self.page.url}: a dialog {dialog.message}"))

    def log_in(self, person: str) -> None:
        """Logs in, by the keyboard alone."""
        self.page.goto(self.url)
        self.page.get_by_role("link", name="Log in").press("Enter")
        self.page.get_by_role("link", name=person).press("Enter")
        self.page.get_by_role("heading", name="Overview").wait_for()

    def log_in_by_keys(self, person: str) -> None:
        """Logs in with nothing but keys pressed."""
        self.page.goto(self.url)
        self.enter("Log in")
        self.enter(person)

    def tab_to(self, name: str, *, beside: str = "") -> None:
        """Moves the focus on to what begins with this name, by the Tab key alone; to that of the row which has the text beside it."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            focused, row = self.page.evaluate(FOCUSED)
            if focused.startswith(name) and beside in row:
                return
        raise AssertionError(f"the Tab key does not lead to {name!r} on {self.page.url}")

    def enter(self, name: str, *, beside: str = "") -> None:
        """Moves the focus there, and follows it to another page."""
        self.tab_to(name, beside=beside)
        self.send()

    def send(self, text: str = "") -> None:
        """Types where the focus is, and sends it off; another document is there then, also where it has the same address."""
        self.page.keyboard.type(text)
        self.page.evaluate("document.documentElement.id = 'left'")
        self.page.keyboard.press("Enter")
        self.page.locator("html:not(#left) footer").wait_for()
        self.page.wait_for_load_state()

    @property
    def is_too_wide(self) -> bool:
        """Whether the page scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def shows_new_parts(self) -> bool:
        """Whether the page has a part such as was on none for which this was asked before."""
        before = len(self._parts)
        self._parts.update(self.page.evaluate(PARTS))
        return len(self._parts) > before

    def barriers(self) -> list[str]:
        """What keeps people from using this page."""
        self.page.evaluate(AXE)
        return self._found({})

    def faint(self) -> list[str]:
        """What can not be read in the colours that the page has by now, of one whose barriers were looked for."""
        return self._found({"runOnly": ["color-contrast"]})

    def _found(self, asked: Mapping[str, object]) -> list[str]:
        found = self.page.evaluate("asked => axe.run(document, asked)", {"resultTypes": ["violations"], "selectors": False, **asked})
        return [
            f"{self.page.url}: {each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def faults_but_failed_fetches(self) -> list[str]:
        """What it complained of beside that it fetched what was away."""
        return [each for each in self.faults if not FAILED_FETCH.search(each)]
