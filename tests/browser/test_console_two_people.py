"""Each act that two people do, in two real browsers: one asks with a reason, the other sees who, why and what it does, and approves.

Nothing is done before that; afterwards the hub does what follows from it, and the act is in the chain with both people.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.acts_of_two import ACTS as ACTS_OF_TWO
from support.acts_of_two import ActOfTwo, ActStage, act_stage, new_payout, nothing_meanwhile
from support.console_browser import Watched
from support.console_day import GURO, HANS
from support.console_stage import ACTS, APPROVES, Browser, ConsoleSite, console_site

REASON = "the bank said so by phone"
People = tuple[Watched, Watched]


@pytest.fixture(scope="module")
def stage(conninfo: str) -> Iterator[ActStage]:
    with act_stage(conninfo) as made:
        yield made


@pytest.fixture(scope="module")
def site(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A console of people none of whom does anything alone."""
    with console_site(conninfo, tmp_path_factory.mktemp("console"), alone=()) as made:
        yield made


@contextmanager
def at_work(chromium: Any, site: ConsoleSite, width: int) -> Iterator[People]:
    """Hans, who may ask, and Guro, who may approve, each in a browser of their own that complains of nothing in the end."""
    contexts = [chromium.new_context(viewport={"width": width, "height": 740}) for _ in range(2)]
    hans, guro = (Watched(each, site.url) for each in contexts)
    yield hans, guro
    assert (hans.faults, guro.faults) == ([], [])
    for each in contexts:
        each.close()


@pytest.fixture(scope="module")
def logged_in(chromium: Any, site: ConsoleSite) -> Iterator[People]:
    with at_work(chromium, site, 900) as (hans, guro):
        hans.log_in(ACTS)
        guro.log_in(APPROVES)
        yield hans, guro


@pytest.fixture
def people(logged_in: People) -> Iterator[People]:
    yield logged_in
    assert [each.faults for each in logged_in] == [[], []]


def shown_to_asker(hans: Watched, act: ActOfTwo, it: str, stage: ActStage) -> str:
    """What the form says that the act would do."""
    page = hans.page
    page.goto(f"{hans.url}{act.page.format(it=it)}")
    if act.link:
        page.locator("main").get_by_role("link", name=act.link, exact=True).click()
    act.fills(page, stage)
    return page.locator("pre.effect", has_text=act.shows).inner_text()


def ask(hans: Watched, stage: ActStage) -> int:
    """Asks for it, once there is a reason; returns the number of the approval."""
    page, asked = hans.page, "SELECT count(*) FROM kvitt_views.approvals"
    before, button = stage.value(asked, ""), page.get_by_role("button", name="Ask for approval")
    button.click()
    assert page.get_by_label("Reason").evaluate("each => each.validity.valueMissing && each === document.activeElement")
    assert stage.value(asked, "") == before
    page.get_by_label("Reason").fill(REASON)
    button.click()
    page.wait_for_url("**/approvals/*")
    return int(page.url.rpartition("/")[2])


def without_scripts(watched: Watched) -> Browser:
    """Another browser of the same session, which fetches pages and no more."""
    made = Browser(watched.url)
    made.cookies = {each["name"]: each["value"] for each in watched.page.context.cookies()}
    return made


def refused_to_asker(hans: Watched, number: int) -> None:
    """Who has asked is offered nothing that approves, and a form of their own making does not."""
    main = hans.page.locator("main")
    assert hans.page.get_by_text("for your word").count() == 0
    assert "another person approves it" in main.inner_text()
    assert main.get_by_role("button", name="Approve").count() == 0
    assert without_scripts(hans).send(f"/approvals/{number}/approve", once="new", seen="0" * 64).status == 403


def shown_to_approver(guro: Watched, number: int) -> str:
    """What stands on the page to which the bell leads, and on the overview what needs a person."""
    guro.page.goto(guro.url)
    assert guro.page.locator(f"main a[href='/approvals/{number}']").is_visible()
    guro.page.get_by_role("link", name="1 act waits for your word").click()
    guro.page.get_by_role("heading", name=f"Approval {number}").wait_for()
    return guro.page.locator("main").inner_text()


def approve(guro: Watched) -> None:
    """Approves what is shown."""
    guro.page.get_by_role("button", name="Approve:").click()
    guro.page.locator("dl .state", has_text="confirmed").wait_for()


def in_the_chain(guro: Watched, noted: str, number: int) -> str:
    """The entry of the act on the page of the audit, which verified it while it was read."""
    shown = without_scripts(guro).get("/audit")
    assert "were verified while you read" in shown.words
    entries = [each for each in shown.text.split("<tr") if f"<td>{noted}</td>" in each and f">approval {number}</a>" in each]
    assert entries, f"{noted} by approval {number} is among the acts"
    return entries[0]


@pytest.mark.parametrize("name", ACTS_OF_TWO)
def test_an_act_is_asked_for_by_one_person_and_done_when_another_has_seen_it(people: People, stage: ActStage, name: str) -> None:
    (hans, guro), act = people, ACTS_OF_TWO[name]
    it = act.begins(stage, name.replace(" ", "-"))
    before, approved, at_last = act.stands
    effect = shown_to_asker(hans, act, it, stage)
    assert not hans.shows_new_parts() or hans.barriers() == []
    number = ask(hans, stage)
    refused_to_asker(hans, number)
    stage.hub.run()
    assert stage.value(act.state, it) == before, "nothing is done by one person's word"
    act.meanwhile(stage, it)
    shown = shown_to_approver(guro, number)
    assert [each for each in (f"{ACTS} ({HANS})", REASON, *effect.splitlines()) if each not in shown] == []
    assert ("What changed since" in shown) == (act.meanwhile is not nothing_meanwhile)
    assert not guro.shows_new_parts() or guro.barriers() == []
    approve(guro)
    assert stage.value(act.state, it) == approved
    stage.hub.run()
    assert stage.value(act.state, it) == at_last
    noted = in_the_chain(guro, act.noted, number)
    assert [each for each in (HANS, GURO, REASON) if each not in noted] == []


def test_the_keyboard_alone_leads_from_login_to_approval_on_a_narrow_screen(chromium: Any, site: ConsoleSite, stage: ActStage) -> None:
    payout, wide = new_payout(stage, "by-keys"), list[bool]()
    with at_work(chromium, site, 360) as (hans, guro):
        hans.log_in_by_keys(ACTS)
        hans.page.keyboard.press("/")
        hans.send(payout)
        hans.enter("Confirm")
        wide.append(hans.is_too_wide)
        hans.tab_to("Reason")
        hans.send(REASON)
        guro.log_in_by_keys(APPROVES)
        guro.enter("approval", beside=REASON)
        wide.append(guro.is_too_wide)
        guro.enter("Approve:")
        guro.page.locator("dl .state", has_text="confirmed").wait_for()
        guro.page.keyboard.press("g")
        guro.page.keyboard.press("a")
        guro.page.get_by_role("row").filter(has_text="payout confirm by-keys").filter(has_text=GURO).first.wait_for()
        wide.append(guro.is_too_wide)
    assert stage.value("SELECT status FROM kvitt_views.payouts WHERE payout_id = %(it)s", payout) == "confirmed"
    assert wide == [False] * 3


def test_the_chain_and_the_store_agree_about_all_of_it(stage: ActStage) -> None:
    stage.hub.check()
