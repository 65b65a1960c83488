"""Two people in two real browsers: one asks by the keyboard alone, the other approves what they see, and nothing is done before."""

from collections.abc import Iterator
from typing import Any

import pytest

from kvitt.kernel.database import Connection
from support.console_browser import CHROMIUM, Watched, running_chromium
from support.console_day import GURO, HANS
from support.console_script import EXAMPLES
from support.console_stage import ACTS, APPROVES, ConsoleSite
from support.payout_stage import PayoutStage, payout_stage, wanted

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def payouts(conninfo: str) -> Iterator[PayoutStage]:
    with payout_stage(conninfo) as made:
        yield made


@pytest.fixture
def people(chromium: Any, site: ConsoleSite) -> Iterator[tuple[Watched, Watched]]:
    """Hans, who may ask, and Guro, who may approve, each in a browser of their own."""
    contexts = [chromium.new_context() for _ in range(2)]
    hans, guro = (Watched(each, site.url) for each in contexts)
    hans.log_in(ACTS)
    guro.log_in(APPROVES)
    yield hans, guro
    assert (hans.faults, guro.faults) == ([], [])
    for each in contexts:
        each.close()


def approve(guro: Watched, path: str) -> str:
    """What stands on the page once it is approved."""
    guro.page.goto(f"{guro.url}{path}")
    assert guro.barriers() == []
    guro.page.get_by_role("button", name="Approve:").click()
    guro.page.get_by_text("Confirmed", exact=False).first.wait_for()
    return str(guro.page.locator("main").inner_text())


def stands_in_the_audit(guro: Watched, act: str, subject: str) -> None:
    """The act is in the chain, which was verified while it was read, with both people."""
    guro.page.goto(f"{guro.url}/audit")
    row = guro.page.get_by_role("row").filter(has_text=act).filter(has_text=subject).filter(has_text=HANS).filter(has_text=GURO)
    assert row.count(), "the act, with who asked for it and who approved it"
    assert guro.page.get_by_text("were verified while you read").is_visible()


def test_a_payout_is_confirmed_by_a_second_person_who_sees_its_effect(
    people: tuple[Watched, Watched], payouts: PayoutStage, connection: Connection
) -> None:
    hans, guro = people
    payouts.payouts.create(wanted("by-two"))
    hans.page.goto(f"{hans.url}/payouts/one?id=by-two")
    hans.page.get_by_role("link", name="Confirm").focus()
    hans.page.keyboard.press("Enter")
    reason = hans.page.get_by_label("Reason")
    reason.wait_for()
    assert hans.barriers() == []
    assert "would be confirmed" in hans.page.locator("pre.effect").inner_text()
    reason.focus()
    hans.page.keyboard.type("the bank has paid")
    hans.page.keyboard.press("Enter")
    hans.page.wait_for_url("**/approvals/*")
    status = "SELECT status FROM payouts.payouts WHERE payout_id = 'by-two'"
    assert connection.execute(status).fetchone() == ("unpaid",)
    assert "payout by-two is confirmed" in approve(guro, hans.page.url.removeprefix(hans.url))
    assert connection.execute(status).fetchone() == ("confirmed",)
    stands_in_the_audit(guro, "payout confirm", "by-two")


def test_a_file_of_parties_is_pasted_looked_at_and_approved(people: tuple[Watched, Watched], connection: Connection) -> None:
    hans, guro = people
    hans.page.goto(f"{hans.url}/parties/load")
    hans.page.get_by_label("The whole file").fill((EXAMPLES / "parties.toml").read_text("utf-8"))
    hans.page.get_by_role("button", name="Look at what it would do").click()
    effect = hans.page.locator("pre.effect")
    effect.wait_for()
    assert "party-1: would be revision 1" in effect.inner_text()
    assert hans.barriers() == []
    hans.page.get_by_label("Reason").fill("a new shop is opened")
    hans.page.get_by_role("button", name="Ask for approval").click()
    hans.page.wait_for_url("**/approvals/*")
    assert connection.execute("SELECT count(*) FROM parties.parties").fetchone() == (0,)
    assert "1 parties changed" in approve(guro, hans.page.url.removeprefix(hans.url))
    assert connection.execute("SELECT count(*) FROM parties.parties").fetchone() == (1,)
    stands_in_the_audit(guro, "party load", "party-1")
