"""Approvals in the console: who asks, who may see it, who approves it, and what is refused (design §11, §17)."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kvitt.api.people.claims import ISSUER
from kvitt.app.ports import PORTS
from kvitt.disbursement.approvable import OrderDecided, order_acts
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.kernel.approvals import Approval, Approvals
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator, PersonAtIssuer
from kvitt.testing import HandClock
from support.case_histories import CaseStage, aap
from support.console_script import command
from support.console_stage import ACTS, APPROVES, LOOKS, Browser, ConsoleSite, Shown, console_site

pytestmark = pytest.mark.usefixtures("made_up_people")

SPAN = [("2026-06-01", "2026-06-12", 500)]
HANS, GURO = "H100002", "G100003"
_cases = count(1)


@pytest.fixture(scope="module")
def clock() -> HandClock:
    return HandClock(utc_now())


@pytest.fixture(scope="module")
def site(conninfo: str, clock: HandClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with console_site(conninfo, tmp_path_factory.mktemp("console"), clock=clock) as made:
        yield made


Ask = Callable[..., Approval]


@pytest.fixture
def ask(cases: CaseStage, connection: Connection, clock: HandClock) -> Ask:
    """Has somebody ask to settle an order that the rail has said nothing about; Hans, on a page, unless others are named."""

    def asked(name: str = HANS, known: PersonAtIssuer | None = PersonAtIssuer(ISSUER, ACTS)) -> Approval:  # noqa: B008 - a value
        number = next(_cases)
        cases.take(Scheme.AAP, aap(f"AP{number}", SPAN, payment=UUID(int=number, version=4)))
        cases.send()
        (order_id,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
        approvals = Approvals(connection, clock, order_acts(clock, PORTS))
        return approvals.ask("order decide", OrderDecided(str(order_id), accepted=True), Operator(name, "the bank said so"), known)

    return asked


def state(connection: Connection, approval: Approval) -> str:
    return Approvals(connection, utc_now).find(approval.approval_no).state


def order_state(connection: Connection, approval: Approval) -> str:
    (found,) = connection.execute("SELECT state FROM orders WHERE order_id = %s", [approval.subject]).fetchone() or ("",)
    return str(found)


def acts_about(connection: Connection, approval: Approval) -> list[tuple[object, ...]]:
    """Entries of the chain that name an approval: what, by whom, and approved by whom."""
    query = (
        "SELECT what, note::jsonb ->> 'by', note::jsonb ->> 'approved_by' FROM audit "
        "WHERE chain = 0 AND note::jsonb ->> 'approval' = %s ORDER BY seq"
    )
    return connection.execute(query, [str(approval.approval_no)]).fetchall()


def page_of(approval: Approval) -> str:
    return f"/approvals/{approval.approval_no}"


def submit(browser: Browser, approval: Approval, what: str, **more: str) -> Shown:
    """Opens an approval, and sends one of its forms."""
    return browser.post(f"{page_of(approval)}/{what}", browser.get(page_of(approval)).fields(**more))


def test_what_one_person_asks_for_another_approves_in_another_session(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    listed = guro.get("/approvals")
    assert f'href="{page_of(approval)}"' in listed.text
    shown = guro.get(page_of(approval))
    assert f"{ACTS} ( {HANS} )" in shown.words
    assert "the bank said so" in shown.words
    assert "is sent and would be accepted" in shown.words
    assert re.search(r"Approve: settle the order without the rail's word, order 1 of AAP AP\d+ , check sum [\d\s]+kr", shown.words)
    done = submit(guro, approval, "approve")
    assert (done.status, urlsplit(done.url).path) == (200, page_of(approval))
    assert "is accepted by an operator's word" in done.words
    assert order_state(connection, approval) == "accepted"
    assert acts_about(connection, approval) == [
        ("approval asked", HANS, None),
        ("decide accepted", HANS, GURO),
        ("approval confirmed", HANS, GURO),
    ]
    assert f"{APPROVES} ( {GURO} )" in guro.get("/approvals").words
    assert page_of(approval) in site.browser(APPROVES).get("/approvals/mine").text.partition("Refused:")[0]
    assert page_of(approval) in site.browser(ACTS).get("/approvals/mine").text.partition("Asked for:")[2]


def test_a_bell_on_each_page_says_to_who_may_approve_how_much_others_ask_for(site: ConsoleSite, ask: Ask) -> None:
    guro = site.browser(APPROVES)
    before = waiting(guro.get("/health"))
    ask()
    assert waiting(guro.get("/health")) == before + 1
    ask(GURO, PersonAtIssuer(ISSUER, APPROVES))
    assert waiting(guro.get("/health")) == before + 1, "nobody's word is waited for where they have asked themselves"
    for person in (ACTS, LOOKS):
        assert waiting(site.browser(person).get("/health")) == 0


def waiting(shown: Shown) -> int:
    """How many acts a page says that wait for somebody's word."""
    found = re.search(r"(\d+) acts? waits? for your word", shown.text)
    return int(found[1]) if found else 0


def test_nobody_approves_what_they_asked_for(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, guro = ask(GURO, PersonAtIssuer(ISSUER, APPROVES)), site.browser(APPROVES)
    shown = guro.get(page_of(approval))
    assert "another person approves it" in shown.words
    assert "<button>Approve" not in shown.text
    refused = submit(guro, approval, "approve", seen=approval.basis.hex())
    assert (refused.status, "you have asked for approval" in refused.words) == (403, True)
    assert (state(connection, approval), order_state(connection, approval)) == ("asked", "sent")


@pytest.mark.parametrize(
    ("asker", "status"),
    [
        ((HANS, PersonAtIssuer(ISSUER, APPROVES)), 200),
        ((GURO, PersonAtIssuer("https://another.issuer", "Kari")), 403),
        ((APPROVES, None), 403),
        (("guro  godkjenner", None), 403),
        (("g100003", None), 403),
        (("Kari Nordmann", None), 200),
    ],
    ids=["a namesake", "same name elsewhere", "command line", "looks alike", "own id", "another"],
)
def test_people_are_told_apart_by_issuer_and_claim_and_by_names_only_where_there_is_no_more(
    site: ConsoleSite, connection: Connection, ask: Ask, asker: tuple[str, PersonAtIssuer | None], status: int
) -> None:
    approval = ask(*asker)
    assert submit(site.browser(APPROVES), approval, "approve", seen=approval.basis.hex()).status == status
    assert state(connection, approval) == ("confirmed" if status == 200 else "asked")


def test_who_asked_on_a_page_does_not_confirm_on_the_command_line(conninfo: str, connection: Connection, ask: Ask) -> None:
    approval = ask()
    for name in (ACTS, HANS, "hans handling"):
        assert command("approve", "yes", approval.approval_no, "--by", name, "--database", conninfo).returncode != 0
    assert state(connection, approval) == "asked"


def test_who_may_not_approve_learns_of_no_approval_but_their_own(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    own, other = ask(), ask("Kari Nordmann", None)
    for person, seen in ((LOOKS, []), (ACTS, [own])):
        browser = site.browser(person)
        for each in (own, other):
            shown = browser.get(page_of(each))
            assert shown.status == (200 if each in seen else 404)
            missing = browser.get("/approvals/999999")
            if shown.status == 404:
                assert (
                    shown.words.replace(str(each.approval_no), "N").split("404")[0] == missing.words.replace("999999", "N").split("404")[0]
                )
            assert (page_of(each) + '"' in browser.get("/approvals").text) == (each in seen)
        assert "<button>Approve" not in browser.get(page_of(own)).text


@pytest.mark.parametrize("person", [LOOKS, ACTS])
def test_a_forged_form_gives_nobody_a_role(site: ConsoleSite, connection: Connection, ask: Ask, person: str) -> None:
    approval, browser = ask("Kari Nordmann", None), site.browser(person)
    forged = {"csrf": browser.csrf, "once": "made-up", "seen": approval.basis.hex(), "reason": "because I say so"}
    for role in ({}, {"role": "approve"}, {"roles": "approve,act"}):
        for what in ("approve", "refuse"):
            assert browser.post(f"{page_of(approval)}/{what}", {**forged, **role}).status == 403
    taken = browser.post(f"{page_of(approval)}/take-back", forged)
    assert taken.status == (403 if person == LOOKS else 404)
    assert (state(connection, approval), order_state(connection, approval)) == ("asked", "sent")


def test_a_form_of_another_session_or_page_does_nothing(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, guro, other = ask(), site.browser(APPROVES), site.browser(APPROVES)
    form = guro.get(page_of(approval)).fields()
    path = f"{page_of(approval)}/approve"
    assert other.post(path, form).status == 403
    assert guro.post(path, form, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"}).status == 403
    assert guro.post(path, {**form, "once": ""}).status == 400
    assert guro.get(path).status in (404, 405)
    assert guro.post(path, {**form, "seen": ""}).status == 409
    assert guro.post(path, {**form, "seen": form["seen"][:4]}).status == 409
    assert (state(connection, approval), order_state(connection, approval)) == ("asked", "sent")


def test_what_has_lapsed_is_not_approved(site: ConsoleSite, connection: Connection, ask: Ask, clock: HandClock) -> None:
    approval = ask()
    form = site.browser(APPROVES).get(page_of(approval)).fields()
    clock.advance(hours=25)
    guro = site.browser(APPROVES)
    assert "<button>" not in guro.get(page_of(approval)).text.partition("<main")[2]
    late = guro.post(f"{page_of(approval)}/approve", {**form, "csrf": guro.csrf})
    assert late.status == 409
    assert "it has to be asked for anew" in late.words
    assert (state(connection, approval), order_state(connection, approval)) == ("lapsed", "sent")


def test_an_effect_that_changed_since_the_page_was_shown_returns_to_the_approver(
    site: ConsoleSite, connection: Connection, cases: CaseStage, ask: Ask
) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    before = guro.get(page_of(approval)).fields()
    connection.execute("UPDATE orders SET state = 'unknown', was_unknown = true WHERE order_id = %s", [approval.subject])
    returned = guro.post(f"{page_of(approval)}/approve", before)
    assert returned.status == 409
    assert "Nothing was done" in returned.words
    assert "is unknown and would be accepted" in returned.words.partition("What changed since")[2]
    assert "is sent and would be accepted" in returned.words.partition("What changed since")[0], "what was shown first is kept"
    assert (state(connection, approval), order_state(connection, approval)) == ("asked", "unknown")
    assert guro.post(f"{page_of(approval)}/approve", {**before, "once": "another"}).status == 409
    done = guro.post(f"{page_of(approval)}/approve", returned.fields())
    assert (done.status, state(connection, approval)) == (200, "confirmed")


def test_an_effect_that_changed_before_the_page_was_shown_is_approved_as_it_was_shown(
    site: ConsoleSite, connection: Connection, ask: Ask
) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    connection.execute("UPDATE orders SET state = 'unknown', was_unknown = true WHERE order_id = %s", [approval.subject])
    assert "What changed since" in guro.get(page_of(approval)).words
    assert submit(guro, approval, "approve").status == 200
    found = Approvals(connection, utc_now).find(approval.approval_no)
    assert (found.state, found.first_effect) == ("confirmed", approval.effect)
    assert "is unknown and would be accepted" in found.effect


def test_what_can_not_be_done_any_more_says_so_before_and_after(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    form = guro.get(page_of(approval)).fields()
    connection.execute("UPDATE orders SET state = 'accepted' WHERE order_id = %s", [approval.subject])
    assert "by now it could not be done" in guro.get(page_of(approval)).words
    guro.post(f"{page_of(approval)}/approve", form)
    assert state(connection, approval) == "failed"
    assert "could not be done any more" in guro.get(page_of(approval)).words


def test_a_double_click_acts_once(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    form = guro.get(page_of(approval)).fields()
    with ThreadPoolExecutor(4) as threads:
        shown = list(threads.map(lambda _: guro.post(f"{page_of(approval)}/approve", form), range(4)))
    assert [(each.status, urlsplit(each.url).path) for each in shown] == [(200, page_of(approval))] * 4
    assert [what for what, *_ in acts_about(connection, approval)] == ["approval asked", "decide accepted", "approval confirmed"]


def test_two_approvers_at_a_time_do_it_once(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval = ask()
    browsers = [site.browser(APPROVES) for _ in range(3)]
    forms = [each.get(page_of(approval)).fields() for each in browsers]
    with ThreadPoolExecutor(3) as threads:
        shown = list(threads.map(lambda each: each[0].post(f"{page_of(approval)}/approve", each[1]), zip(browsers, forms, strict=True)))
    assert sorted(each.status for each in shown) == [200, 409, 409]
    assert [what for what, *_ in acts_about(connection, approval)].count("decide accepted") == 1


def test_an_approver_refuses_with_a_reason(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    assert submit(guro, approval, "refuse", reason="no").status == 400
    assert state(connection, approval) == "asked"
    shown = submit(guro, approval, "refuse", reason="the rail has it after all")
    assert "the rail has it after all" in shown.words
    assert (state(connection, approval), order_state(connection, approval)) == ("refused", "sent")
    assert acts_about(connection, approval)[-1][:2] == ("approval refused", GURO)
    mine = guro.get("/approvals/mine").text
    assert page_of(approval) in mine.partition("Refused:")[2].partition("Asked for:")[0]


def test_who_asked_takes_it_back(site: ConsoleSite, connection: Connection, ask: Ask) -> None:
    approval, hans = ask(), site.browser(ACTS)
    shown = submit(hans, approval, "take-back", reason="a slip of the finger")
    assert "taken back by who asked" in shown.words
    assert (state(connection, approval), order_state(connection, approval)) == ("refused", "sent")
    assert acts_about(connection, approval)[-1][:2] == ("approval refused", HANS)
    assert page_of(approval) not in site.browser(APPROVES).get("/approvals/mine").text


def test_who_acts_has_logged_in_within_the_hour(site: ConsoleSite, connection: Connection, ask: Ask, clock: HandClock) -> None:
    approval, guro = ask(), site.browser(APPROVES)
    for _ in range(3):
        clock.advance(minutes=25)
        form = guro.get(page_of(approval)).fields()
    late = guro.post(f"{page_of(approval)}/approve", form)
    assert (late.status, "log in again" in late.words) == (403, True)
    assert order_state(connection, approval) == "sent"


@pytest.mark.parametrize(("month", "status"), [("2026-01", 200), ("2026-13", 400), ("x", 400), ("0001-01", 400), ("9999-12", 400)])
def test_a_month_without_approvals_says_so(site: ConsoleSite, month: str, status: int) -> None:
    shown = site.browser(LOOKS).get(f"/approvals/mine?month={month}")
    assert (shown.status, "You approved nothing" in shown.words) == (status, status == 200)


def test_the_chain_and_the_store_agree_about_all_of_it(conninfo: str, site: ConsoleSite, connection: Connection) -> None:
    assert command("audit", "verify", "--database", conninfo).returncode == 0
    assert [each for each in check(conninfo, PORTS).differences if "approval" in str(each)] == []
