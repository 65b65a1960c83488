"""The overview says how rails, sending and open orders stand: in money, on the clock and in hours in which the rail is open."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kvitt.api.console.pages import overview, sending
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection
from kvitt.testing import START
from support.case_histories import CaseStage, aap
from support.console_stage import LOOKS, ConsoleSite, console_site

STOP = "INSERT INTO stops (rail, area, reason, stopped_by, stopped_at) VALUES ('oppdrag', %s, 'rates', 'T1', now())"


@pytest.fixture
def stage(database: str) -> Iterator[CaseStage]:
    made = CaseStage(database)
    made.take(Scheme.AAP, aap("S1", [("2026-06-01", "2026-06-12", 500)]))
    yield made
    made.close()


@pytest.fixture
def site(database: str, stage: CaseStage, tmp_path: Path) -> Iterator[ConsoleSite]:
    stage.clock.set(START)
    with console_site(database, tmp_path, clock=stage.clock) as made:
        yield made


@pytest.fixture
def connection(stage: CaseStage) -> Connection:
    return stage.connection


def test_what_leaves_when_the_rail_opens_is_added_up_by_area(site: ConsoleSite, connection: Connection) -> None:
    browser = site.browser(LOOKS)
    for path in ("/", "/sending"):
        words = browser.get(path).words
        assert "What leaves as soon as the rail is open" in words
        assert "oppdrag, AAP 1 500 kr" in words.replace("\u00a0", " ")
    connection.execute("UPDATE orders SET held_for = '[{}]'")
    words = browser.get("/").words
    assert "Nothing is ready to leave" in words
    assert "orders ready or held 1" in words.partition("Not finished")[2]


def test_what_needs_a_person_leads_to_where_it_is_dealt_with(site: ConsoleSite, stage: CaseStage, connection: Connection) -> None:
    stage.answer(b"garbage")
    connection.execute(STOP, ["DP"])
    overview = site.browser(LOOKS).get("/")
    assert urlsplit(overview.link("sending stopped")).path == "/sending"
    assert overview.link("receipt unreadable").endswith("/receipts?open=yes")
    assert "closing it, once it is dealt with" in overview.words
    assert "kvitt receipt close" not in overview.words


def test_why_something_needs_a_person_is_cut_between_words_and_after_persons_are_masked(site: ConsoleSite, connection: Connection) -> None:
    why = f"{'word ' * 29}x 010203 12345 and more that nobody reads in a list"
    connection.execute(
        "UPDATE orders SET held_for = jsonb_build_array(jsonb_build_object('kind', 'area_changed', 'text', %s::text))", [why]
    )
    words = site.browser(LOOKS).get("/").words
    assert ("010203" in words, "nobody reads" in words, "• …" in words) == (False, False, True)


def test_a_stop_says_how_much_waits_behind_it(site: ConsoleSite, connection: Connection) -> None:
    connection.execute(STOP, ["DP"])
    browser = site.browser(LOOKS)
    assert "0 orders wait behind it, check sum 0 kr" in browser.get("/").words.replace("\u00a0", " ")
    connection.execute("DELETE FROM stops")
    connection.execute(STOP, ["*"])
    words = browser.get("/").words.replace("\u00a0", " ")
    assert "rates. 1 order waits behind it, check sum 500 kr" in words
    assert "Nothing is ready to leave" in words


def test_of_many_orders_the_first_are_counted_and_all_for_who_asks(
    site: ConsoleSite, stage: CaseStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 3):
        stage.take(Scheme.AAP, aap(f"S{number}", [("2026-06-01", "2026-06-12", 500 + 100 * number)], payment=UUID(int=number)))
    monkeypatch.setattr(overview, "_MOST_COUNTED", 2)
    monkeypatch.setattr(sending, "_COUNTED_AT_ONCE", 2)
    browser = site.browser(LOOKS)
    for path in ("/", "/sending"):
        words = browser.get(path).words.replace("\u00a0", " ")
        assert "oppdrag, AAP at least 2 1 200 kr" in words, "the first two"
        assert "the first 2 orders of a rail are counted: there are more" in words
    assert "orders ready or held at least 2" in browser.get("/").words.replace("\u00a0", " ").partition("Not finished")[2]
    words = browser.get(browser.get("/sending").link("Count all of them")).words.replace("\u00a0", " ")
    assert "oppdrag, AAP 3 2 000 kr" in words
    assert "there are more" not in words


def test_a_rail_that_is_open_and_silent_for_an_hour_of_its_hours_is_said(
    site: ConsoleSite, stage: CaseStage, connection: Connection
) -> None:
    stage.send()
    browser = site.browser(LOOKS)
    assert "answered nothing for an hour" not in browser.get("/").words
    connection.execute("UPDATE orders SET sent_at = %s", [START - timedelta(hours=2)])
    words = browser.get("/").words
    assert "oppdrag is open by its hours" in words
    assert "answered nothing for an hour" in words
    connection.execute("UPDATE orders SET sent_at = %s", [START.replace(day=3, hour=18, minute=30)])
    stage.clock.set(START.replace(day=6, hour=4, minute=15))
    words = site.browser(LOOKS).get("/").words.replace("\u00a0", " ")
    assert "answered nothing for an hour" not in words, "the rail was closed from Friday night to Monday morning"
    assert "oppdrag, AAP 1 500 kr 03.07.2026 20:30:00 1 0 0 0 0 0 0 1" in words, "old on the clock, and young in open hours"


def test_reconciliation_and_what_is_not_taken_in_are_there(site: ConsoleSite, connection: Connection) -> None:
    browser = site.browser(LOOKS)
    words = browser.get("/").words
    assert "None has been good yet" in words
    connection.execute(
        """INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_by, reason, made_at, state,
                                            good_at, messages)
           SELECT md5(day::text)::uuid, 'oppdrag', 'AAP', 'interface', 'helved', day, day, 'operator', 'T1', 'r', now(), 'good', now(), 1
           FROM generate_series('2026-06-02', '2026-06-04', interval '1 day') AS day"""
    )
    connection.execute("INSERT INTO log_partitions (topic, partition, next_position) VALUES ('some.topic', 0, 12)")
    connection.execute("INSERT INTO leases (lease, owner, fencing_token, until, position) VALUES ('intake:some.topic:0', 'o', 1, now(), 5)")
    words = browser.get("/").words
    assert "3 AAP interface 04.06.2026" in words
    assert "03.06.2026" not in words
    assert "some.topic 7" in words
