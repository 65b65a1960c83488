"""What people ask the console, each answered in at most two clicks from the overview; Enter in the search is a click.

The clicks are done on a narrow screen, and the answer stands on a wide one as well.
The numbers are those of the twenty questions that the console is built for.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.check.report import note_run
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.testing import TestServer
from support.console_browser import Watched
from support.console_day import (
    APPROVED_REASON,
    ASKED_REASON,
    GURO,
    HANS,
    LATE,
    PAID,
    RAILS_WORDS,
    REFUSED,
    REPORTED,
    STOPS_REASON,
    TWICE,
    UNKNOWN,
    PlayedDay,
    played_day,
)
from support.console_stage import APPROVES, console_site
from support.hub_messages import aap, text

MOST_CLICKS: Final = 2
NARROW: Final[ViewportSize] = {"width": 360, "height": 740}
WIDE: Final[ViewportSize] = {"width": 1920, "height": 1080}
Step = Callable[[Page, PlayedDay], None]


class Question(NamedTuple):
    """A question: the clicks that lead to the page, what is tried on it, and what stands there; in braces, what the day says."""

    asked: str
    clicks: Sequence[Step]
    facts: Sequence[str]
    tries: Sequence[Step] = ()


def find(text: str) -> Step:
    """Types into the search, and Enter."""

    def step(page: Page, day: PlayedDay) -> None:
        page.get_by_placeholder("Case, person, order").fill(text.format(**day._asdict()))
        with page.expect_navigation():
            page.keyboard.press("Enter")

    return step


def open_page(name: str) -> Step:
    """Clicks a page of the navigation."""
    return lambda page, _: followed(page, page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True))


def open_message(number: str) -> Step:
    """Clicks a message that is listed."""
    return lambda page, day: followed(page, page.locator(f"main a[href='/messages/{number.format(**day._asdict())}']").first)


def ring(page: Page, day: PlayedDay) -> None:
    """Clicks what says that somebody's word is waited for."""
    followed(page, page.get_by_role("link", name="for your word"))


def type_into(label: str, value: str) -> Step:
    """Types into a field of the page."""
    return lambda page, _: page.get_by_label(label).fill(value)


def press(name: str) -> Step:
    """Presses a button of the page, and waits for what it shows."""

    def step(page: Page, day: PlayedDay) -> None:
        with page.expect_navigation():
            page.get_by_role("button", name=name).click()

    return step


def followed(page: Page, link: Locator) -> None:
    """Follows a link, and waits until its page has begun."""
    with page.expect_navigation():
        link.click()


def click(name: str, *, beside: str = "") -> Step:
    """Clicks a link; that of the row which has the text beside it, where one is named."""

    def step(page: Page, day: PlayedDay) -> None:
        where: Page | Locator = page.locator("main")
        if beside:
            where = page.get_by_role("row").filter(has_text=beside.format(**day._asdict()))
        followed(page, where.get_by_role("link", name=name.format(**day._asdict()), exact=True).first)

    return step


QUESTIONS: Final = {
    1: Question(
        "Kari has not got her money for this month",
        [find("{person}")],
        [f"AAP {PAID}", "7 000 kr instead of 5 000 kr", "accepted by the rail", "no word that it is on the account"],
    ),
    2: Question(
        "What does she get each day, and what changed last?",
        [find(PAID), click("its days")],
        ["Before", "After", "2 500 kr", "3 500 kr", "10 days change", "2 000 kr"],
    ),
    3: Question(
        "Why is it refused, and who acts?",
        [find(f"key of {REFUSED}")],
        ["Why it failed", RAILS_WORDS, "Who acts: the rail has refused the order", "FEILET", "What was answered last"],
    ),
    4: Question(
        "What needs a person?",
        [],
        ["order held", "order unknown", "receipt late", "dead letter", "approval asked", "receipt unclear", "sending stopped"],
    ),
    5: Question(
        "Of which order has no receipt come, and how much is it?", [click("order", beside="receipt late")], [LATE, "900 kr", "Sent", "ago"]
    ),
    6: Question(
        "Where do we not send, who stopped it, and why?",
        [],
        [
            "Sending is stopped",
            "TILLSTPB",
            "kari",
            STOPS_REASON,
            "1 order waits behind it, check sum 500 kr",
            "by its hours",
            "The last receipt came",
        ],
    ),
    7: Question(
        "Do we keep up?", [], ["Do we keep up?", "Messages by the hour, today", "Usual until then", "published", "orders unknown", "Oldest"]
    ),
    8: Question(
        "Does the rail have the order of which nobody knows?",
        [click("order", beside="order unknown"), click("Where is it?")],
        [
            UNKNOWN,
            "Begun to send",
            "On the queue",
            "Four causes, to be ticked off",
            "it is not that",
            "Hva?",
            "Ask the rail",
            "Send once more",
        ],
    ),
    9: Question(
        "Would somebody be paid twice?",
        [click("order", beside="order held"), click("Does it pay anything twice?")],
        [TWICE, "500 by payment", "Field", "This order", "The other one", "differs", "equal"],
    ),
    10: Question(
        "What is in this dead letter, and what would the mended one do?",
        [click("dead letter", beside="dead letter"), click("Mend and replay")],
        [
            "the record has no key",
            "It stops being JSON at line 1, character 1: ▲no key",
            "under the key mended-1",
            "taken out: no key",
            "put in: {{",
            "it would order, area AAP, order 1 of case MENDED-1",
            "500 kr",
        ],
        [type_into("Key", "mended-1"), type_into("Body", text(aap("MENDED-1")).decode()), press("Look at what it would do")],
    ),
    11: Question(
        "What am I asked to approve, and what would it do?",
        [ring],
        ["Hans Handling", ASKED_REASON, "What it would do", "accepted"],
    ),
    12: Question(
        "What have I approved?",
        [open_page("Approvals"), click("What I have approved, refused and asked for")],
        ["order decide", APPROVED_REASON],
    ),
    13: Question(
        "Is the reconciliation of this day good?", [open_page("Reconciliation"), click("{run_no}")], ["missing", "the same", "500 kr"]
    ),
    14: Question(
        "What was reported missing and has its receipt by now?",
        [open_page("Reconciliation"), click("since then")],
        [REPORTED, "missing", "accepted by the rail"],
    ),
    15: Question(
        "What is on this account, and what is held?",
        [find("{account_id}"), click("{account_id}", beside="ledger account")],
        ["Own", "At least", "At most", "p-held"],
    ),
    16: Question("Where is this payout?", [find("p-paid")], ["confirmed", "9,80 RUB", "fee 0,25 RUB", "shop-1", "Events"]),
    17: Question(
        "Who did what, and who approved it?",
        [open_page("Audit")],
        [HANS, GURO, APPROVED_REASON, "stop TILLSTPB", STOPS_REASON, "were verified"],
    ),
    18: Question("Does everything add up?", [open_page("Health")], ["0 differences", "ago", "version", "orders"]),
    19: Question("Who owns what?", [open_page("Jobs and roles")], ["intake:", "held", "process", "Since", "How often roles were started"]),
    20: Question(
        "What did you get from us, and what did you answer?",
        [find(f"key of {PAID}"), open_message("{paid_message}")],
        ["As it came, byte for byte", "utbetaltBeløp", "What was answered last", "helved.status.v1"],
    ),
}
"""By their numbers."""


@pytest.fixture(scope="module")
def day(kvitt_server: TestServer) -> Iterator[PlayedDay]:
    with kvitt_server.database() as conninfo, played_day(conninfo) as played:
        began_at = utc_now()
        report = check(conninfo, PORTS)
        with connect(conninfo) as connection:
            note_run(connection, report, began_at, of_rail=0, found=[])
        yield played


@pytest.fixture(scope="module")
def watched(chromium: Browser, day: PlayedDay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A browser at a console, in which an approver is logged in."""
    with console_site(day.conninfo, tmp_path_factory.mktemp("console")) as site:
        made = Watched(chromium.new_context(), site.url)
        made.log_in(APPROVES)
        yield made


@pytest.mark.parametrize("number", sorted(QUESTIONS))
def test_a_question_is_answered_in_two_clicks(watched: Watched, day: PlayedDay, number: int) -> None:
    question, page = QUESTIONS[number], watched.page
    assert len(question.clicks) <= MOST_CLICKS
    page.set_viewport_size(NARROW)
    page.goto(watched.url)
    for step in (*question.clicks, *question.tries):
        step(page, day)
        page.wait_for_load_state()
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        shown = " ".join(page.locator("main").inner_text().split())
        assert [fact for fact in question.facts if fact.format(**day._asdict()) not in shown] == [], shown
    assert watched.faults == []
