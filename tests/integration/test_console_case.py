"""What the pages of a case answer: a month in words, its days before and after an order, what waits behind what, and who did what."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from kvitt.api.console.pages.records import failure
from kvitt.app.ports import PORTS
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import Operator
from support.case_histories import CaseStage, aap, answered
from support.console_stage import ACTS, APPROVES, LOOKS, Browser, ConsoleSite, console_site
from support.rapid_messages import line, need
from support.rapid_stage import rapid_on

JUNE = "?month=2026-06"
REASON = "the area is being moved"


@pytest.fixture
def browser(site: ConsoleSite) -> Browser:
    return site.browser(LOOKS)


def case_no(connection: Connection, case_id: str) -> int:
    (found,) = connection.execute("SELECT case_no FROM cases WHERE case_id = %s", [case_id]).fetchone() or (0,)
    return int(found)


def take(cases: CaseStage, case_id: str, *spans: tuple[str, str, int]) -> None:
    payment = UUID(bytes=case_id.encode().ljust(16, b"\1"), version=4)
    cases.take(Scheme.AAP, aap(case_id, spans, payment=payment))


def said(page: str, heading: str) -> str:
    """The text under a heading of a page."""
    return page.partition(heading)[2]


def listed(page: str) -> list[str]:
    return re.findall(r"<li><time(.*)</li>", page)


def words(browser: Browser, connection: Connection, case_id: str, month: str = JUNE) -> str:
    return browser.get(f"/cases/{case_no(connection, case_id)}{month}").words


def test_a_payment_is_said_to_be_accepted_and_never_to_be_paid(browser: Browser, connection: Connection, cases: CaseStage) -> None:
    take(cases, "W1", ("2026-06-01", "2026-06-12", 500))
    assert "It has not left yet." in words(browser, connection, "W1")
    cases.send()
    sent = words(browser, connection, "W1")
    assert "5 000 kr" in sent
    assert "The rail has it, and has not answered." in sent
    assert "It waits for the rail's receipt. Who can act: the rail." in sent
    cases.answer(*(answered(xml) for xml in _sent_xml(connection, "W1")))
    accepted = words(browser, connection, "W1")
    assert "The rail pays it on its day; no word that it is on the account comes to kvitt." in accepted
    assert "is paid" not in accepted.lower()
    assert "No payment of the case has anything in 2026-07" in words(browser, connection, "W1", "?month=2026-07")
    assert browser.get(f"/cases/{case_no(connection, 'W1')}?month=2026-13").status == 400


def test_the_bank_s_word_is_what_says_paid(browser: Browser, connection: Connection, cases: CaseStage) -> None:
    take(cases, "W2", ("2026-06-01", "2026-06-12", 500))
    cases.accept()
    connection.execute(
        """INSERT INTO receipts (message_id, digest, body, received_at, order_id, outcome)
           SELECT 'booked', sha256('b'), 'b', now(), o.order_id, 'settled'
           FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = 'W2'"""
    )
    assert "It is paid: the bank has booked it" in words(browser, connection, "W2")


def test_a_refusal_has_the_rail_s_words_and_what_was_taken_back_its_minus(
    browser: Browser, connection: Connection, cases: CaseStage
) -> None:
    take(cases, "W3", ("2026-06-01", "2026-06-12", 500))
    cases.answer(*(answered(xml, "08", "ukjent mottaker") for xml in cases.send()))
    assert "It says: ukjent mottaker. The sender mends it, and sends anew." in words(browser, connection, "W3")
    take(cases, "W4", ("2026-06-01", "2026-06-12", 500))
    cases.accept()
    take(cases, "W4", ("2026-06-08", "2026-06-12", 700))
    cases.accept()
    assert "3 500 kr instead of 5 000 kr" in words(browser, connection, "W4")
    take(cases, "W4")
    cases.accept()
    assert "\u22123 500 kr , which is all" in words(browser, connection, "W4")
    assert "by order 3" in words(browser, connection, "W4")


def test_days_stand_in_whole_weeks_with_what_an_order_makes_of_them(
    site: ConsoleSite, browser: Browser, connection: Connection, cases: CaseStage
) -> None:
    take(cases, "D1", ("2026-12-28", "2027-01-08", 500))
    cases.accept()
    take(cases, "D1", ("2026-12-28", "2026-12-30", 500), ("2026-12-31", "2027-01-01", 700))
    page = browser.get(f"/cases/{case_no(connection, 'D1')}/days").words
    assert "7 days change, from 31.12.2026 to 08.01.2027 ; all together \u22122 100 kr" in page
    assert "2026 week 53 28.12. 500 29.12. 500 30.12. 500 31.12. 500 700 +200 1.1. 500 700 +200 2.1. 3.1. " in page
    assert "2 500 kr 2 900 kr + 400 kr" in page
    assert "2027 week 1 4.1. 500 \u2212500" in page
    assert "2 500 kr \u22122 500 kr" in page, "a week that is taken back"
    assert "What changes by week, in kroner Week Difference 2026 week 53 400 2027 week 1 \u22122 500" in page
    cases.accept()
    assert "No day changes." in browser.get(f"/cases/{case_no(connection, 'D1')}/days?order=now").words
    assert "7 days change" in browser.get(f"/cases/{case_no(connection, 'D1')}/days").words, "what the last order has changed"
    numbers = dict(
        connection.execute("SELECT number, order_id::text FROM orders JOIN cases USING (case_no) WHERE case_id = 'D1'").fetchall()
    )
    first = browser.get(f"/cases/{case_no(connection, 'D1')}/days?order={numbers[1]}").words
    assert "10 days change, from 28.12.2026 to 08.01.2027 ; all together + 5 000 kr" in first
    for page in ("", "/withdraw"):
        of_order = site.browser(ACTS).get(f"/orders/{numbers[2]}{page}").words
        assert "7 days change, from 31.12.2026 to 08.01.2027 ; all together \u22122 100 kr" in of_order
        assert "Check sum 700 kr : the amounts of its lines added up" in of_order
    second = browser.get(f"/cases/{case_no(connection, 'D1')}/days?order={numbers[2]}&from=2027-01-06").words
    assert "2027 week 1 4.1. 500 \u2212500" in second
    assert "2026 week 53" not in second
    assert browser.get(f"/cases/{case_no(connection, 'D1')}/days?order={case_no(connection, 'D1')}").status == 404
    for odd in ("9999-12-31", "0001-01-01"):
        assert browser.get(f"/cases/{case_no(connection, 'D1')}/days?from={odd}").status == 200
    assert browser.get(f"/cases/{case_no(connection, 'D1')}/days?from=soon").status == 400


def test_days_of_lines_that_a_sender_makes_follow_the_rail_s_rule(database: str, tmp_path: Path) -> None:
    with rapid_on(database) as rapid:
        lines = [line(grad=100, sats=600), line(delytelseId=2, refDelytelseId=1, fom="2024-03-18", tom="2024-03-29", sats=900)]
        rapid.ask(need(linjer=lines))
        rapid.finish()
    with console_site(database, tmp_path) as site, connect(database) as connection:
        number, order_id = connection.execute("SELECT case_no, order_id::text FROM orders").fetchone() or (0, "")
        browser = site.browser(LOOKS)
        page = browser.get(f"/cases/{number}/days?order={order_id}").words
        assert "15.3. 600 +600" in page
        assert "18.3. 900 +900" in page
        assert "Its sender makes its lines" in browser.get(f"/cases/{number}").words


def test_a_case_that_pays_nothing_any_more_is_said_to_have_payments(browser: Browser, connection: Connection, cases: CaseStage) -> None:
    take(cases, "N1", ("2026-06-01", "2026-06-12", 500))
    cases.answer(*(answered(xml) for xml in cases.send()))
    take(cases, "N1")
    cases.answer(*(answered(xml) for xml in cases.send()))
    page = words(browser, connection, "N1", "?month=2027-02")
    assert "No payment of the case has anything in 2027-02" in page
    assert "Nothing: the rail has accepted nothing that still pays." in page
    assert "Its sender makes its lines" not in page


def test_a_busy_case_says_behind_what_its_messages_wait(browser: Browser, connection: Connection, cases: CaseStage) -> None:
    take(cases, "Q1", ("2026-06-01", "2026-06-12", 500))
    take(cases, "Q1", ("2026-06-01", "2026-06-12", 600))
    take(cases, "Q1", ("2026-06-01", "2026-06-12", 700))
    page = said(browser.get(f"/cases/{case_no(connection, 'Q1')}").words, "What it waits for")
    assert re.search(r"in the order in which they will be handled, behind order 1 : message \d+ , since .* message \d+ , since", page)
    operate = Operate(connection, utc_now, PORTS)
    operate.stop(["AAP"], Operator("H100002", REASON))
    assert f"It has not left: sending is stopped by H100002: {REASON}" in browser.get(f"/cases/{case_no(connection, 'Q1')}").words
    operate.resume(["AAP"], Operator("H100002", REASON))
    held = '[{"kind":"over_limit","text":"it pays more than its sender may"}]'
    connection.execute("UPDATE orders SET held_for = %s WHERE case_no = %s", [held, case_no(connection, "Q1")])
    page = browser.get(f"/cases/{case_no(connection, 'Q1')}").words
    assert "It has not left: it pays more than its sender may" in page
    connection.execute("UPDATE orders SET held_for = '[]' WHERE case_no = %s", [case_no(connection, "Q1")])


def test_the_timeline_has_all_kinds_in_one_list_and_each_by_itself(
    browser: Browser, connection: Connection, cases: CaseStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvitt.api.console.pages import case_timeline

    take(cases, "T9", ("2026-06-01", "2026-06-12", 500), ("2026-06-15", "2026-06-26", 900))
    cases.accept()
    path = f"/cases/{case_no(connection, 'T9')}/timeline"
    whole = browser.get(path)
    for what in (
        "received message",
        "ordered order 1 to AAP",
        "line line 1 of order 1: ",
        "acknowledged receipt",
        "published OK on helved.status.v1",
    ):
        assert what in whole.words, what
    assert "acknowledged" not in browser.get(f"{path}?kind=line").words
    assert browser.get(f"{path}?kind=nonsense").status == 400
    monkeypatch.setattr(case_timeline, "_ROWS", 2)
    shown, page = list[str](), browser.get(path)
    while True:
        shown += listed(page.text)
        if 'rel="next"' not in page.text:
            break
        page = browser.get(page.link("Older"))
    assert shown == listed(whole.text)


def test_a_message_has_why_it_failed_who_mends_it_and_every_answer_in_order(
    browser: Browser, connection: Connection, cases: CaseStage
) -> None:
    take(cases, "M1", ("2026-06-01", "2026-06-12", 500))
    cases.answer(*(answered(xml, "08", "ukjent mottaker") for xml in cases.send()))
    (number,) = connection.execute("SELECT max(message_no) FROM messages").fetchone() or (0,)
    page = browser.get(f"/messages/{number}")
    assert "Why it failed ukjent mottaker Who acts: the rail has refused the order" in page.words
    said_on = re.findall(r"&#34;status&#34;: &#34;(\w+)&#34;", page.text.partition("What was published for it")[2])
    assert (said_on[0], said_on[-1]) == ("MOTTATT", "FEILET")
    assert "helved.oppdrag.v1" in page.words
    assert "Its bytes are those of the order itself" in page.words
    cases.take(Scheme.AAP, b'{"sakId":"M2"}')
    (number,) = connection.execute("SELECT max(message_no) FROM messages").fetchone() or (0,)
    assert "Who acts: the sender mends it, and sends anew" in browser.get(f"/messages/{number}").words


@pytest.mark.parametrize(
    "answer", [None, b"", b"{", b"\xff", b"[1]", b'{"status": 5}', b'{"status":"OK"}', b'{"status":"MOTTATT","error":null}']
)
def test_an_answer_that_says_no_failure_has_none(answer: bytes | None) -> None:
    assert failure(answer, None, refused_by_rail=False) is None


def test_the_audit_of_a_case_has_both_people_what_they_saw_and_the_place_in_the_chain(
    site: ConsoleSite, browser: Browser, connection: Connection, cases: CaseStage
) -> None:
    take(cases, "U1", ("2026-06-01", "2026-06-12", 500))
    (order_id,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
    held = '[{"kind":"over_limit","text":"it pays more than its sender may"}]'
    connection.execute("UPDATE orders SET held_for = %s WHERE order_id = %s", [held, order_id])
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    form = hans.get(f"/orders/{order_id}/release")
    asked = hans.post(f"/orders/{order_id}/release", form.fields(reason="it is right, the sender says so"))
    seen = guro.get(asked.url)
    guro.post(f"{asked.url}/approve", seen.fields())
    page = browser.get(f"/cases/{case_no(connection, 'U1')}/audit").words
    for each in ("release", ACTS, APPROVES, "it is right, the sender says so", "is held for: it pays more than its sender may", "follows"):
        assert each in page, each
    assert "of its chain were verified while you read" in page
    assert "asked for order release by" in browser.get(f"/cases/{case_no(connection, 'U1')}/timeline?kind=act").words
    connection.execute("UPDATE audit SET note = replace(note, 'right', 'wrong') WHERE chain = 0 AND what = 'release'")
    assert "does not follow" in browser.get(f"/cases/{case_no(connection, 'U1')}/audit").words
    connection.execute("UPDATE audit SET note = replace(note, 'wrong', 'right') WHERE chain = 0 AND what = 'release'")


def _sent_xml(connection: Connection, case_id: str) -> list[bytes]:
    rows = connection.execute("SELECT message FROM orders JOIN cases USING (case_no) WHERE case_id = %s AND state = 'sent'", [case_id])
    return [bytes(each) for (each,) in rows]


def test_a_case_says_that_its_rail_is_closed(conninfo: str, cases: CaseStage, connection: Connection, tmp_path: Path) -> None:
    take(cases, "H1", ("2026-06-01", "2026-06-12", 500))
    for hour, is_closed in ((10, False), (22, True)):
        moment = datetime(2026, 7, 1, hour, tzinfo=UTC)
        with console_site(conninfo, tmp_path, clock=lambda moment=moment: moment) as at_that_hour:  # type: ignore[misc]
            page = words(at_that_hour.browser(LOOKS), connection, "H1")
        assert ("oppdrag is closed by its hours, and opens 02.07.2026 06:00:00" in page) is is_closed, hour
