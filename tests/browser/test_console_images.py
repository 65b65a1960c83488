"""Images of the pages of the console for its document: `make images` makes them anew, and each page has one."""

import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from kvitt.api.console.frame import ConsolePage
from kvitt.api.console.pages import PAGES
from kvitt.api.people.claims import ConsoleRole
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.testing import TestServer
from support.console_day import TWICE, PlayedDay, played_day
from support.console_stage import ACTS, APPROVES, ConsoleSite, console_site
from support.patience import PATIENCE_SECONDS

GIVEN: Final = "KVITT_TEST_IMAGES"
"""Names the folder in which the images are to stand; else they are made in a folder of the test's own."""
DOCS: Final = Path(__file__).parents[2] / "docs"
WIDTH, HEIGHT, MOST_HEIGHT, MOST_BYTES = 1280, 720, 1100, 60_000
COLOURS: Final = (48, 24, 12)
"""Fewer are taken where more would be too large."""
INPUT: Final = primary_input(Scheme.AAP)
SHOWN: Final = {page.template: page for page in PAGES if not page.posted}
"""Pages by their templates: those that look alike are one."""
_ORDER: Final = f"(SELECT order_id FROM kvitt_views.orders WHERE case_id = '{TWICE}' ORDER BY number DESC LIMIT 1)"
_CASE: Final = "(SELECT case_no FROM kvitt_views.cases WHERE case_id = 'KARI-1')"
_LETTER: Final = "(SELECT min(dead_no) FROM kvitt_views.dead_letters)"
OF_ONE_THING: Final = {
    "account": "'/ledger/accounts/' || min(account_id) FROM kvitt_views.ledger_accounts",
    "approval": "'/approvals/' || max(approval_no) FROM kvitt_views.approvals",
    "case": f"'/cases/' || {_CASE}",
    "case-audit": f"'/cases/' || {_CASE} || '/audit'",
    "case-days": f"'/cases/' || {_CASE} || '/days'",
    "case-timeline": f"'/cases/' || {_CASE} || '/timeline'",
    "cases-of-person": f"'/cases/' || {_CASE} || '/person'",
    "dead-letter": f"'/dead-letters/' || {_LETTER}",
    "letter-mend": f"'/dead-letters/' || {_LETTER} || '/mend'",
    "letter-replay": f"'/dead-letters/' || {_LETTER} || '/replay'",
    "message": "'/messages/' || max(message_no) FROM kvitt_views.messages WHERE case_id = 'KARI-1'",
    "order": f"'/orders/' || {_ORDER}",
    "order-act": f"'/orders/' || {_ORDER} || '/release'",
    "order-twins": f"'/orders/' || {_ORDER} || '/twins'",
    "order-whereabouts": f"'/orders/' || {_ORDER} || '/whereabouts'",
    "party": "'/parties/one?id=party-1'",
    "payout": "'/payouts/one?id=p-paid'",
    "payout-cancel": "'/payouts/cancel?id=p-held'",
    "plain-act": f"'/dead-letters/' || {_LETTER} || '/close'",
    "plan": "'/ledger/plans/one?id=' || min(plan_id) FROM kvitt_views.ledger_plans",
    "receipt": "'/receipts/' || max(receipt_no) FROM kvitt_views.receipts",
    "record": f"'/topics/record?partition=0&position=0&topic={INPUT}'",
    "records": f"'/topics/records?topic={INPUT}'",
    "run": "'/reconciliation/' || min(run_no) FROM kvitt_views.reconciliations",
    "report": "'/reconciliation/dry-run?area=AAP&first=' || min(first_day) || '&last=' || min(first_day) FROM kvitt_views.reconciliations",
    "resend-many": "'/orders/resend-many?area=AAP&state=unknown&since=2026-01-01+00:00'",
    "sending-act": "'/sending/resume?rail=*&area=TILLSTPB'",
    "transfer": "'/ledger/transfer?currency=RUB&source=' || min(account_id) FROM kvitt_views.ledger_accounts",
    "simulation": "'/simulations/' || min(request_no) FROM kvitt_views.simulations",
    "since": "'/reconciliation/' || min(run_no) || '/since' FROM kvitt_views.reconciliations",
}
"""Pages about one thing, by what says which."""
NAMES: Final = sorted(template.removesuffix(".html").replace("_", "-") for template in SHOWN)


@pytest.fixture(scope="module")
def day(kvitt_server: TestServer) -> Iterator[PlayedDay]:
    with kvitt_server.database() as conninfo, played_day(conninfo) as played:
        yield played


@pytest.fixture(scope="module")
def site(day: PlayedDay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with console_site(day.conninfo, tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture(scope="module")
def seen(chromium: Browser, site: ConsoleSite) -> Callable[[ConsoleRole], Page]:
    """Pages of whoever has a role: Guro, who approves, sees what Hans does not who asks, and may not ask."""
    people = {person: logged_in(chromium, site.url, person) for person in (ACTS, APPROVES)}
    return lambda role: people[ACTS if role is ConsoleRole.ACT else APPROVES]


def logged_in(browser: Browser, url: str, person: str) -> Page:
    made = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", base_url=url)
    made.set_default_timeout(PATIENCE_SECONDS * 1000)
    made.goto("/")
    made.get_by_role("link", name="Log in").click()
    made.get_by_role("link", name=person).click()
    made.get_by_role("heading", name="Overview").wait_for()
    return made


def shown(name: str) -> ConsolePage:
    return SHOWN[f"{name.replace('-', '_')}.html"]


def path_of(day: PlayedDay, name: str) -> str:
    if name not in OF_ONE_THING:
        return shown(name).path
    with connect(day.conninfo) as connection:
        (path,) = connection.execute(f"SELECT {OF_ONE_THING[name]}".encode()).fetchone() or ("",)
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


@pytest.mark.parametrize("name", NAMES if os.environ.get(GIVEN) else ["overview"])
def test_an_image_of_a_page_is_small(seen: Callable[[ConsoleRole], Page], day: PlayedDay, tmp_path: Path, name: str) -> None:
    page = seen(shown(name).role)
    answer = page.goto(path_of(day, name))
    assert answer
    assert answer.ok
    page.get_by_role("heading", level=1).wait_for()
    folder = Path(os.environ.get(GIVEN) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    image = taken(page)
    assert image, "no image of it is small enough"
    (folder / f"{name}.png").write_bytes(image)


def test_every_page_that_has_an_image_is_there(site: ConsoleSite, day: PlayedDay) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    seen_by = {name: hans if shown(name).role is ConsoleRole.ACT else guro for name in NAMES}
    assert {name: status for name in NAMES if (status := seen_by[name].get(path_of(day, name)).status) != 200} == {}


def test_the_document_shows_every_page_and_every_image_that_it_names_is_there() -> None:
    named = re.findall(r"!\[[^]]+\]\(images/console/([\w-]+)\.png\)", (DOCS / "console.md").read_text("utf-8"))
    assert sorted(named) == NAMES
    assert sorted(each.stem for each in (DOCS / "images/console").iterdir()) == NAMES
    sizes = {each.name: each.stat().st_size for each in (DOCS / "images/console").iterdir()}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
