"""The browser of the tests that need one."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.console_browser import CHROMIUM, running_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of one file; they are skipped where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with running_chromium() as browser:
        yield browser
