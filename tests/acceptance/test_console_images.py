"""Images of the pages of the console for its document: `make images` makes them anew, and each page has one."""

import os
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from kvitt.api.console.pages import PAGES
from kvitt.kernel.database import connect
from kvitt.testing import TestServer
from support.console_day import TWICE, PlayedDay, played_day
from support.console_stage import APPROVES, console_site
from support.patience import PATIENCE_SECONDS

GIVEN: Final = "KVITT_TEST_IMAGES"
"""Names the folder in which the images are to stand; else they are made in a folder of the test's own."""
DOCS: Final = Path(__file__).parents[2] / "docs"
CHROMIUM: Final = shutil.which("chromium")
WIDTH, HEIGHT, MOST_HEIGHT, MOST_BYTES = 1280, 720, 1100, 60_000
COLOURS: Final = (48, 24, 12)
"""Fewer are taken where more would be too large."""
OF_NAVIGATION: Final = {re.sub(r"\W+", "-", page.nav.lower()): page.path for page in PAGES if page.nav}
OF_ONE_THING: Final = {
    "case": "SELECT '/cases/' || case_no FROM kvitt_views.cases WHERE case_id = 'KARI-1'",
    "order": f"SELECT '/orders/' || order_id FROM kvitt_views.orders WHERE case_id = '{TWICE}'",
    "message": "SELECT '/messages/' || max(message_no) FROM kvitt_views.messages WHERE case_id = 'KARI-1'",
    "dead-letter": "SELECT '/dead-letters/' || min(dead_no) FROM kvitt_views.dead_letters",
    "approval": "SELECT '/approvals/' || max(approval_no) FROM kvitt_views.approvals",
    "run": "SELECT '/reconciliation/' || min(run_no) FROM kvitt_views.reconciliations",
    "payout": "SELECT '/payouts/one?id=p-paid'",
    "account": "SELECT '/ledger/accounts/' || min(account_id) FROM kvitt_views.ledger_accounts",
}
"""Pages about one thing, by the statements that say which."""
NAMES: Final = sorted({*OF_NAVIGATION, *OF_ONE_THING})


@pytest.fixture(scope="module")
def day(kvitt_server: TestServer) -> Iterator[PlayedDay]:
    with kvitt_server.database() as conninfo, played_day(conninfo) as played:
        yield played


@pytest.fixture(scope="module")
def page(day: PlayedDay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with console_site(day.conninfo, tmp_path_factory.mktemp("console")) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", base_url=site.url)
        made.set_default_timeout(PATIENCE_SECONDS * 1000)
        made.goto("/")
        made.get_by_role("link", name="Log in").click()
        made.get_by_role("link", name=APPROVES).click()
        made.get_by_role("heading", name="Overview").wait_for()
        yield made
        browser.close()


def path_of(day: PlayedDay, name: str) -> str:
    if name in OF_NAVIGATION:
        return OF_NAVIGATION[name]
    with connect(day.conninfo) as connection:
        (path,) = connection.execute(OF_ONE_THING[name].encode()).fetchone() or ("",)
    return str(path)


def taken(page: Page) -> bytes:
    """The page as it is, cut where it would be too long, in few colours."""
    height = min(int(page.evaluate("document.documentElement.scrollHeight")), MOST_HEIGHT)
    whole = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": max(height, HEIGHT)}, animations="disabled")
    image = Image.open(BytesIO(whole)).convert("RGB")
    made = (_png(image, colours) for colours in COLOURS)
    return next((each for each in made if len(each) <= MOST_BYTES), b"")


def _png(image: Image.Image, colours: int) -> bytes:
    small = BytesIO()
    image.quantize(colours, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_a_page_is_small(page: Page, day: PlayedDay, tmp_path: Path, name: str) -> None:
    answer = page.goto(path_of(day, name))
    assert answer
    assert answer.ok
    page.get_by_role("heading", level=1).wait_for()
    folder = Path(os.environ.get(GIVEN) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    image = taken(page)
    assert image, "no image of it is small enough"
    (folder / f"{name}.png").write_bytes(image)


def test_the_document_shows_every_page_and_every_image_that_it_names_is_there() -> None:
    named = re.findall(r"!\[[^]]+\]\(images/console/([\w-]+)\.png\)", (DOCS / "console.md").read_text("utf-8"))
    assert sorted(named) == NAMES
    assert sorted(each.stem for each in (DOCS / "images/console").iterdir()) == NAMES
    sizes = {each.name: each.stat().st_size for each in (DOCS / "images/console").iterdir()}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
