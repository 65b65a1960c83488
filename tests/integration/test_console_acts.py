"""Acts on pages beside those on orders that leave: settled by hand, payouts, parties, reconciliation, what is closed (design §11, §17)."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kvitt.api.console.pages import PAGES
from kvitt.api.people.claims import ISSUER, ConsoleRole
from kvitt.api.rest.local_issuer import Behind
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.testing import HandClock, TestServer
from support.case_histories import CaseStage, aap, answered, dp
from support.console_script import EXAMPLES, command
from support.console_stage import ACTS, APPROVES, LOOKS, Browser, ConsoleSite, Shown, console_site
from support.payout_stage import PayoutStage, payout_stage, wanted
from support.reconciled import make, put, reconciled_site
from support.rest_stage import rest_site

pytestmark = pytest.mark.usefixtures("made_up_people")
HANS, GURO = "H100002", "G100003"
REASON = "the bank said so by phone"
SPAN = [("2026-06-01", "2026-06-12", 500)]
PARTIES = (EXAMPLES / "parties.toml").read_text("utf-8")
_cases = count(1)


@pytest.fixture(scope="module")
def clock() -> HandClock:
    return HandClock(utc_now())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def site(conninfo: str, clock: HandClock, data: Path) -> Iterator[ConsoleSite]:
    with console_site(conninfo, data, clock=clock) as made:
        yield made


@pytest.fixture(scope="module")
def payouts(conninfo: str) -> Iterator[PayoutStage]:
    with payout_stage(conninfo) as made:
        yield made


@pytest.fixture
def sent(cases: CaseStage, connection: Connection) -> str:
    """An order that the rail has said nothing about."""
    number = next(_cases)
    cases.take(Scheme.AAP, aap(f"C{number}", SPAN, payment=UUID(int=number, version=4)))
    cases.send()
    (found,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
    return str(found)


def one(connection: Connection, query: str, *values: object) -> object:
    (found,) = connection.execute(query.encode(), values).fetchone() or (None,)
    return found


def order_state(connection: Connection, order_id: str) -> object:
    return one(connection, "SELECT state FROM orders WHERE order_id = %s", order_id)


def ask(browser: Browser, path: str, **more: str) -> Shown:
    """Fills in the form of an act, with a reason; `more` are fields of it."""
    return browser.post(urlsplit(path).path, browser.get(path).fields(reason=REASON, **more))


def approve(browser: Browser, approval: Shown) -> Shown:
    """Approves what somebody was led to when they had asked for it."""
    path = urlsplit(approval.url).path
    assert path.startswith("/approvals/"), approval.words
    return browser.post(f"{path}/approve", browser.get(path).fields())


def test_an_approval_shows_what_has_changed_since_it_was_asked_for_and_lapses(
    site: ConsoleSite, connection: Connection, cases: CaseStage, clock: HandClock, sent: str
) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    assert "Ask the rail first" in hans.get(f"/orders/{sent}/accept").words
    asked = ask(hans, f"/orders/{sent}/accept")
    path, before = urlsplit(asked.url).path, guro.get(urlsplit(asked.url).path)
    case_id = str(one(connection, "SELECT c.case_id FROM cases AS c JOIN orders AS o USING (case_no) WHERE o.order_id = %s", sent))
    cases.take(Scheme.AAP, aap(case_id, [("2026-06-01", "2026-06-12", 700)], payment=UUID(int=int(case_id[1:]), version=4)))
    shown = guro.post(f"{path}/approve", before.fields())
    assert (shown.status, "would be made" in shown.words) == (409, True)
    assert order_state(connection, sent) == "sent"
    assert "would be made" in hans.get(path).words
    clock.advance(hours=25)
    late = site.browser(APPROVES)
    assert late.post(f"{path}/approve", {**shown.fields(), "csrf": late.csrf}).status == 409
    assert "lapsed" in late.get(path).words
    assert one(connection, "SELECT state FROM approvals WHERE approval_no = %s", int(path.rpartition("/")[2])) == "lapsed"
    assert order_state(connection, sent) == "sent"


def test_cases_that_hold_no_orders_of_each_other_are_listed(site: ConsoleSite, connection: Connection, cases: CaseStage, sent: str) -> None:
    hans = site.browser(ACTS)
    assert "Hold again" not in hans.get(f"/orders/{sent}").words
    cases.take(Scheme.AAP, aap("E1", SPAN, payment=UUID(int=next(_cases), version=4)))
    cases.send()
    connection.execute(
        "INSERT INTO exempt_pairs SELECT min(case_no), max(case_no), 'AAPUAA', %s FROM cases WHERE case_no IN"
        " ((SELECT case_no FROM orders WHERE order_id = %s), (SELECT case_no FROM cases WHERE case_id = 'E1'))",
        [sent, sent],
    )
    listed = hans.get(hans.get("/orders").link("Cases that pay the same days"))
    assert "AAPUAA" in listed.words
    assert "Hold again" in hans.get(f"/orders/{sent}").words
    assert site.browser(LOOKS).get("/orders/exempt?after=x").status == 400
    # Nobody has released it, so no chain says so.
    connection.execute("DELETE FROM exempt_pairs")


def test_many_orders_are_listed_with_their_sum_and_sent_once_more_but_those_that_were_answered_meanwhile(
    site: ConsoleSite, connection: Connection, cases: CaseStage
) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    cases.take(Scheme.DAGPENGER, *(dp(f"B{number}", [500]) for number in range(4)))
    sent = cases.send()
    form = hans.get(f"{hans.get('/orders').link('Send many once more')}?area=DP")
    assert "4 orders," in form.words
    cases.take(Scheme.DAGPENGER, dp("B4", [500]))
    later = cases.send()
    asked = hans.post("/orders/resend-many", form.fields(reason=REASON))
    path = urlsplit(asked.url).path
    assert "DP: 4 orders," in asked.words
    before = guro.get(path)
    assert "Approve: send the orders once more: 4 orders , check sum 2 000 kr" in before.words
    cases.answer(answered(sent[0]))
    shown = guro.post(f"{path}/approve", before.fields())
    assert (shown.status, "3 orders," in shown.words, "1 that were listed" in shown.words) == (409, True, True)
    done = guro.post(f"{path}/approve", shown.fields())
    assert "3 orders will be sent once more, 1 were left out" in done.words
    states = "SELECT string_agg(state, ' ' ORDER BY state) FROM orders JOIN cases USING (case_no) WHERE case_id LIKE 'B%%'"
    assert one(connection, states) == "accepted ready ready ready sent", "the one that came later is none of them"
    assert len(cases.send()) == 3
    assert later
    entries = "SELECT entries FROM approvals WHERE approval_no = %s"
    assert one(connection, entries, int(path.rpartition("/")[2])) == 3
    nothing = hans.get("/orders/resend-many?area=DP&state=unknown")
    assert "no such order waits" in nothing.words
    for query in ("area=XX", "area=DP&state=ready", "area=DP&since=x"):
        assert hans.get(f"/orders/resend-many?{query}").status == 400
    forged = {**form.fields(reason=REASON), "once": "new", "order_ids": "not an id"}
    assert hans.post("/orders/resend-many", forged).status == 400


def test_the_events_of_a_payout_are_published_again_by_one_person(site: ConsoleSite, connection: Connection, payouts: PayoutStage) -> None:
    payouts.payouts.create(wanted("acted-on"))
    hans, page = site.browser(ACTS), "/payouts/one?id=acted-on"
    before = one(connection, "SELECT count(*) FROM outbox WHERE key = 'acted-on'")
    again = ask(hans, hans.get(page).link("Publish again"), id="acted-on")
    assert again.url.endswith(page)
    assert one(connection, "SELECT count(*) FROM outbox WHERE key = 'acted-on'") == 2 * int(str(before))
    assert check(payouts.conninfo, PORTS).clean


def test_a_transfer_is_looked_at_asked_for_and_done_once(site: ConsoleSite, connection: Connection, payouts: PayoutStage) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    link = hans.get(f"/ledger/accounts/{payouts.bank}").link("Transfer from here")
    typed = {"plan_id": "sales-1", "target": str(payouts.settlement), "amount": "700", "description": "sales of 27 November"}
    form = hans.get(link).fields(source=str(payouts.bank), currency="RUB", **typed)
    looked = hans.post("/ledger/transfer", {**form, "step": "look"})
    assert f"700 RUB (minor units) from account {payouts.bank} to account {payouts.settlement}" in looked.words
    ready = {**form, **looked.fields(reason=REASON), "step": "ask"}
    more = hans.post("/ledger/transfer", {**ready, "amount": "7000"})
    assert (more.status, "something else than what was shown" in more.words) == (409, True)
    before = payouts.totals()
    asked = hans.post("/ledger/transfer", {**ready, "once": "again"})
    assert "Approve: move the amount from account to account: sales-1 , 7,00 RUB" in guro.get(urlsplit(asked.url).path).words
    approve(guro, asked)
    assert payouts.totals()[0][0] == before[0][0] + 700
    again = hans.post("/ledger/transfer", {**form, "step": "look", "once": "third"})
    assert "done before under this name" in again.words
    for name, value in (("amount", "-1"), ("amount", "x"), ("source", ""), ("plan_id", ""), ("description", ""), ("amount", "9" * 30)):
        assert hans.post("/ledger/transfer", {**form, "step": "look", "once": f"{name}{value}", name: value}).status == 400


def test_a_file_of_parties_is_looked_at_asked_for_and_loaded(site: ConsoleSite, connection: Connection, payouts: PayoutStage) -> None:
    assert payouts
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    form = hans.get(hans.get("/parties").link("Load a file"))
    looked = hans.post("/parties/load", form.fields(file=PARTIES, step="look"))
    assert "party-1: would be revision 1" in looked.words
    assert one(connection, "SELECT count(*) FROM parties.parties") == 0
    other = hans.post("/parties/load", looked.fields(file=f"{PARTIES}\n# more\n", step="ask", reason=REASON))
    assert (other.status, "something else than what was shown" in other.words) == (409, True)
    asked = hans.post("/parties/load", looked.fields(file=PARTIES, step="ask", reason=REASON) | {"once": form.fields()["once"] + "x"})
    approve(guro, asked)
    assert one(connection, "SELECT count(*) FROM parties.parties") == 1
    wrong = hans.post("/parties/load", form.fields(file="[[party]]\nid = 7\n", step="look") | {"once": "another"})
    assert "It can not be done" in wrong.words
    assert hans.post("/parties/load", form.fields(file="", step="look") | {"once": "third"}).status == 400


def test_letters_and_receipts_are_closed_by_one_person(site: ConsoleSite, connection: Connection, cases: CaseStage) -> None:
    letter = one(
        connection,
        "INSERT INTO dead_letters (source, partition, position, key, body, reason, at) VALUES ('t', 0, 1, 'k', '{', 'torn', now())"
        " RETURNING dead_no",
    )
    cases.answer(b"garbage")
    receipt = one(connection, "SELECT max(receipt_no) FROM receipts")
    hans = site.browser(ACTS)
    for page in (f"/dead-letters/{letter}", f"/receipts/{receipt}"):
        form = hans.get(page).link("Close")
        assert "would be closed as dealt with" in hans.get(form).words
        done = ask(hans, form)
        assert urlsplit(done.url).path == page
        assert REASON in done.words
        assert "It can not be done" in hans.get(f"{page}/close").words


_NEW = (
    *(
        "/orders/resend-many",
        "/ledger/transfer",
        "/orders/{order}/accept",
        "/orders/{order}/reject",
        "/orders/{order}/adopt",
        "/orders/{order}/keep",
        "/orders/{order}/hold-again",
    ),
    *("/payouts/confirm", "/payouts/paid", "/payouts/cancel", "/payouts/republish", "/parties/load", "/reconciliation/report"),
    *("/dead-letters/1/close", "/receipts/1/close", "/simulations/1/again"),
    *("/reconciliation/1/again", "/reconciliation/1/drop", "/reconciliation/1/was-put", "/reconciliation/1/was-not-put"),
)


@pytest.mark.parametrize("path", _NEW)
def test_who_only_looks_comes_to_no_form_and_sends_none(site: ConsoleSite, connection: Connection, sent: str, path: str) -> None:
    live, before = site.browser(LOOKS), one(connection, "SELECT count(*) FROM audit")
    at = path.format(order=sent)
    assert live.get(f"{at}?id=p-1").status == 403
    forged = {"csrf": live.csrf, "once": "made-up", "seen": "0" * 64, "reason": REASON, "role": "act", "id": "p-1", "file": "x"}
    assert live.post(at, forged).status == 403
    assert one(connection, "SELECT count(*) FROM audit") == before


def test_every_form_that_acts_takes_a_role_that_acts() -> None:
    forms = [page for page in PAGES if page.acts and page.posted]
    assert {page.role for page in forms} == {ConsoleRole.ACT, ConsoleRole.APPROVE}
    assert {page.path for page in PAGES if page.acts and page.role is ConsoleRole.LOOK} == {"/approvals/{approval_no:int}"}


@pytest.fixture(scope="module")
def asked_by_guro(site: ConsoleSite, payouts: PayoutStage) -> dict[str, int]:
    """What Guro, who may approve, has asked for herself, by act."""
    guro, numbers = site.browser(APPROVES), dict[str, int]()
    payouts.fund(10_000)
    for act in ("confirm", "paid"):
        payouts.payouts.create(wanted(f"own-{act}"))
        asked = ask(guro, f"/payouts/{act}?id=own-{act}", id=f"own-{act}")
        numbers[f"payout {act}"] = int(asked.url.rpartition("/")[2])
    payouts.payouts.create(wanted("own-cancel"))
    looked = guro.post("/payouts/cancel", guro.get("/payouts/cancel?id=own-cancel").fields(details="closed", step="look"))
    fields = {**looked.fields(reason=REASON), "details": "closed"}
    numbers["payout cancel"] = int(guro.post("/payouts/cancel", fields).url.rpartition("/")[2])
    file = PARTIES.replace("party-1", "party-9").replace("shop-1", "shop-9")
    looked = guro.post("/parties/load", guro.get("/parties/load").fields(file=file, step="look"))
    asked = guro.post("/parties/load", looked.fields(file=file, step="ask", reason=REASON))
    numbers["party load"] = int(asked.url.rpartition("/")[2])
    return numbers


@pytest.mark.parametrize("act", ["payout confirm", "payout paid", "payout cancel", "party load"])
def test_nobody_approves_a_new_act_of_their_own_anywhere(
    site: ConsoleSite, connection: Connection, conninfo: str, data: Path, *, asked_by_guro: dict[str, int], act: str
) -> None:
    number = asked_by_guro[act]
    assert one(connection, "SELECT act || ' ' || asked_issuer FROM approvals WHERE approval_no = %s", number) == f"{act} {ISSUER}"
    path, guro = f"/approvals/{number}", site.browser(APPROVES)
    shown = guro.get(path)
    assert "<button>Approve" not in shown.text
    assert guro.post(f"{path}/approve", shown.fields(seen="0" * 64)).status == 403
    assert "needs_second_person" in command("approve", "yes", number, "--by", APPROVES, "--database", conninfo).stderr
    hans = site.browser(ACTS)
    assert hans.get(path).status == 404, "nor does who may not approve learn of it"
    forged = {"csrf": hans.csrf, "once": "x", "seen": "0" * 64, "reason": REASON}
    assert hans.post(f"{path}/approve", forged).status == 403
    assert hans.post(f"{path}/take-back", forged).status == 404
    with rest_site(conninfo, data) as rest, rest.hub.rest.client(behind=Behind(person=GURO, groups=["approve", "act"])) as client:
        basis = json.loads(client.get(path).content)["effect"]["code"]
        assert client.post(f"{path}/confirm", json={"seen": basis}).status_code == 403
    assert one(connection, "SELECT state FROM approvals WHERE approval_no = %s", number) == "asked"


def test_runs_are_looked_at_made_and_made_again(kvitt_server: TestServer, tmp_path: Path) -> None:
    with reconciled_site(kvitt_server) as hub, console_site(hub.conninfo, tmp_path, clock=hub.clock) as site:
        put(hub)
        hub.run()
        hub.clock.advance(days=1)
        hans, guro = site.browser(ACTS), site.browser(APPROVES)
        dry = hans.get("/reconciliation/dry-run?area=AAP&first=2026-01-01&last=2026-01-02")
        assert "AAP, 2026-01-01" in dry.words
        left = hans.get(hans.get("/reconciliation").link("Report what is left"))
        assert "AAP" in left.words
        form = hans.get("/reconciliation/report?area=AAP")
        assert "accepted: 1 order," in form.words
        asked = hans.post("/reconciliation/report", form.fields(reason=REASON))
        assert hub.connection.execute("SELECT count(*) FROM reconciliation_runs").fetchone() == (0,)
        assert "is made" in approve(guro, asked).words
        (number,) = hub.connection.execute("SELECT run_no FROM reconciliation_runs").fetchone() or (0,)
        assert "Nothing is left to report of AAP" in hans.get("/reconciliation/report?area=AAP").words
        again = ask(hans, hans.get(f"/reconciliation/{number}").link("Report once more"))
        assert f"in place of run {number}" in again.words
        assert f"in place of run {number}" in approve(guro, again).words
        runs = hub.connection.execute("SELECT run_no, state, made_by FROM reconciliation_runs ORDER BY run_no").fetchall()
        assert [(state, by) for _, state, by in runs] == [("replaced", HANS), ("made", HANS)]
        for asked in ("area=XX", "area=AAP&first=x", "area=AAP&first=2027-01-01&last=2026-01-01"):
            assert hans.get(f"/reconciliation/dry-run?{asked}&last=2026-01-02").status in (200, 400)


def test_totals_that_a_receipt_moves_are_shown_and_make_no_other_effect(kvitt_server: TestServer, tmp_path: Path) -> None:
    with reconciled_site(kvitt_server) as hub, console_site(hub.conninfo, tmp_path, clock=hub.clock) as site:
        hub.rail.fault(delay=1, delay_seconds=26 * 3600.0)
        put(hub)
        hub.run()
        hub.clock.advance(days=1)
        run = make(hub)
        hans, guro = site.browser(ACTS), site.browser(APPROVES)
        path = urlsplit(ask(hans, f"/reconciliation/{run.run_no}/again").url).path
        seen = guro.get(path)
        assert "missing: 1 order," in seen.words
        hub.clock.advance(hours=3)
        hub.run()
        guro = site.browser(APPROVES)
        shown = guro.get(path)
        assert "missing: 0 orders" in shown.words.partition("What changed since")[2]
        assert shown.fields()["seen"] == seen.fields()["seen"]
        assert "is made in place of run" in guro.post(f"{path}/approve", shown.fields()).words
        query = "SELECT missing, accepted FROM reconciliation_runs ORDER BY run_no"
        assert hub.connection.execute(query).fetchall() == [(1, 0), (0, 1)]


@pytest.mark.parametrize(("act", "state"), [("was-put", "sent"), ("was-not-put", "ready")])
def test_messages_of_a_run_that_are_unknown_are_settled_by_two_people(
    kvitt_server: TestServer, tmp_path: Path, act: str, state: str
) -> None:
    with reconciled_site(kvitt_server) as hub, console_site(hub.conninfo, tmp_path, clock=hub.clock) as site:
        put(hub)
        hub.run()
        hub.clock.advance(days=1)
        run = make(hub)
        with hub.connection.transaction():
            hub.connection.execute("UPDATE reconciliation_messages SET state = 'unknown'")
        hans = site.browser(ACTS)
        shown = hans.get(f"/reconciliation/{run.run_no}")
        done = ask(hans, shown.link("The queue has them" if act == "was-put" else "The queue has them not"))
        assert hub.connection.execute("SELECT DISTINCT state FROM reconciliation_messages").fetchall() == [("unknown",)]
        assert "messages" in approve(site.browser(APPROVES), done).words
        states = hub.connection.execute("SELECT DISTINCT state FROM reconciliation_messages").fetchall()
        assert states == [(state,)]
