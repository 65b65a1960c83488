"""What the console shows of senders: calls with what was done of them, what fails today, who waits for an open order, limits used."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection, connect
from kvitt.settings import SourceLimitSettings
from support.case_histories import CaseStage, aap, answered
from support.console_stage import LOOKS, Browser, ConsoleSite, console_site
from support.iverksetting_bodies import dagpenger, person_of, previous, v2
from support.iverksetting_stage import V2, DecisionSite, decision_site

DP, SPAN = Scheme.DAGPENGER, ("2026-06-01", "2026-06-12", 500)


@pytest.fixture
def decisions(database: str, tmp_path: Path) -> Iterator[DecisionSite]:
    with decision_site(database, tmp_path) as made:
        yield made
        made.close()


@pytest.fixture
def browser(site: ConsoleSite) -> Browser:
    return site.browser(LOOKS)


def test_calls_stand_with_who_asked_what_was_done_and_what_was_answered(database: str, decisions: DecisionSite, tmp_path: Path) -> None:
    person = person_of(3111)
    decisions.take(v2("R1", "B1", [dagpenger("2026-05-04", "2026-05-08", 800)], personident=person), DP)
    refused = decisions.post(v2("R1", "B3", [dagpenger("2026-05-04", "2026-05-08", 900)], after=previous("B2"), personident=person), DP)
    assert refused.status_code >= 400
    token = decisions.issuer.token(azp_name="prod:team:nobody", azp="nobody")
    stranger = decisions.client.post(V2, content=b"{}", headers={"authorization": f"Bearer {token}"})
    assert stranger.status_code in (401, 403)
    with console_site(database, tmp_path) as site, connect(database) as connection:
        browser = site.browser(LOOKS)
        page = browser.get("/requests")
        assert "● ordered" in page.words
        assert "○ refused" in page.words
        assert refused.json()["msg"] in page.words
        assert person not in page.text
        assert "by prod:team:nobody" in page.words.partition("Refused for lack of authority")[2]
        (case_no,) = connection.execute("SELECT case_no FROM cases WHERE case_id = 'R1'").fetchone() or (0,)
        of_case = browser.get(browser.get(f"/cases/{case_no}").link("Requests"))
        assert "○ refused" in of_case.words
        only = browser.get("/requests?outcome=ordered")
        assert "○ refused" not in only.words
        assert browser.get("/requests?outcome=nonsense").status == 400
        assert browser.get("/requests?case=x").status == 400
        number = of_case.link(str(connection.execute("SELECT max(message_no) FROM decisions").fetchone()[0]))  # type: ignore[index]
        assert "B3" in browser.get(number).text, "the call as it came"
        assert browser.get("/requests?case=999999").words.count("None that fit") == 1


def test_answers_under_keys_stand_by_their_caller(site: ConsoleSite, browser: Browser, connection: Connection) -> None:
    for number in range(3):
        connection.execute(
            """INSERT INTO rest.requests (subject, key, digest, first_at, busy_until, status, content_type, body)
               VALUES ('bank/ola', %s, 'x', now(), now(), 409, 'application/json', %s)""",
            [f"key-{number}", b'{"code":"account_locked"}'],
        )
    assert "bank/ola" in browser.get("/requests/answers").words
    shown = browser.get("/requests/answers?caller=bank/ola")
    assert "key-1" in shown.words
    assert "answered 409, application/json" in shown.words
    assert "account_locked" in shown.text
    assert "None of this caller" in browser.get("/requests/answers?caller=nobody").words


def test_what_fails_today_is_counted_by_sender_and_text(
    site: ConsoleSite, browser: Browser, connection: Connection, cases: CaseStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvitt.api.console.pages import senders

    assert "No message has failed today" in browser.get("/failures").words
    for number in range(3):
        cases.take(Scheme.AAP, aap(f"F{number}", [SPAN], payment=UUID(int=50 + number, version=4)))
        cases.answer(*(answered(xml, "08", f"ukjent mottaker {100 + number}") for xml in cases.send()))
    connection.execute("UPDATE messages SET received_at = now()")
    page = browser.get("/failures").words
    assert "AAP ukjent mottaker … 3" in page
    assert "At least" not in page
    monkeypatch.setattr(senders, "_LOOKED_THROUGH", 2)
    page = browser.get("/failures").words
    assert "At least: looked through are the newest 2 messages" in page
    assert "AAP ukjent mottaker … 2" in page


def test_who_has_waited_longest_stands_first_with_what_is_in_the_way(browser: Browser, connection: Connection, cases: CaseStage) -> None:
    assert "No message waits for its case" in browser.get("/waiting").words
    for case in ("L1", "L2"):
        payment = UUID(bytes=case.encode().ljust(16, b"\2"), version=4)
        for amount in (500, 600):
            cases.take(Scheme.AAP, aap(case, [("2026-06-01", "2026-06-12", amount)], payment=payment))
    of_case = "(SELECT case_no FROM cases WHERE case_id = 'L2')"
    connection.execute(f"UPDATE messages SET received_at = '2026-06-01' WHERE state = 'queued' AND case_no = {of_case}".encode())
    page = browser.get("/waiting").words
    assert page.index("AAP L2") < page.index("AAP L1")
    assert "order ◐ ready to send" in page
    cases.accept()
    assert "No message waits for its case" in browser.get("/waiting").words


def test_a_source_has_what_it_used_of_its_limit_in_this_hour(conninfo: str, connection: Connection, tmp_path: Path) -> None:
    moment = datetime(2026, 7, 1, 10, 20, tzinfo=UTC)
    for hour, kroner in (("2026-07-01T10:00Z", 7000), ("2026-07-01T08:00Z", 3000), ("2026-06-01T08:00Z", 1)):
        connection.execute("INSERT INTO source_hours (source, hour, kroner) VALUES ('dp-sak', %s, %s)", [hour, kroner])
    limits = {"dp-sak": SourceLimitSettings(kroner_per_hour=10_000), "quiet": SourceLimitSettings(kroner_per_order=5)}
    with console_site(conninfo, tmp_path, clock=lambda: moment, limits=limits) as site:
        page = site.browser(LOOKS).get("/limits/used").words
    assert "dp-sak 7 000 kr 10 000 kr no limit" in page
    assert "quiet 0 kr no limit 5 kr" in page
    assert "01.07.2026 10:00:00 3 000 kr" in page
    assert "01.06.2026" not in page
