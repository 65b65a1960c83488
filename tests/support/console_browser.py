"""A real browser on the console, which notes what a page complains of, asks for elsewhere, or keeps people from using."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, sync_playwright

from support.patience import PATIENCE_SECONDS

CHROMIUM = shutil.which("chromium")
AXE = (Path(__file__).parent / "axe/axe.min.js").read_text("utf-8")
SERIOUS = ("serious", "critical")
FAILED_FETCH = re.compile(r"Failed to load resource: (net::ERR_\w+|the server responded with a status of (401|503) .*)")
"""Chromium says so of each fetch that fails, whatever the page makes of it."""


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
        self.url, self.faults = url, list[str]()
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

    def barriers(self) -> list[str]:
        """What keeps people from using this page."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{self.page.url}: {each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def faults_but_failed_fetches(self) -> list[str]:
        """What it complained of beside that it fetched what was away."""
        return [each for each in self.faults if not FAILED_FETCH.search(each)]
