"""The views of the store: every query of their document gives the columns that it says, and every view stands in it with its own."""

import re
from datetime import date
from pathlib import Path
from typing import Final

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql

from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import schedule
from kvitt.settings import CheckSettings
from kvitt.testing import Hub, TestServer, hub
from support import simulation_answers as answers
from support.hub_messages import PERSON, aap, dp, payment_uid, ts, ts_payment
from support.lived import live
from support.simulation_server import SIMULATION, asking, says, scripted_server

PAGE: Final = (Path(__file__).parents[2] / "docs/views.md").read_text("utf-8")
_QUESTION: Final = re.compile(
    r"### (?P<title>[^\n]+)\n(?:(?!###).)*?```sql\n(?P<query>.*?)```\n\nColumns: (?P<columns>[^\n]*(?:\n[^\n]+)*)\n", re.DOTALL
)
QUESTIONS: Final = {each["title"]: (each["query"], re.findall(r"`(\w+)`", each["columns"])) for each in _QUESTION.finditer(PAGE)}
VIEWS: Final = {name: re.findall(r"`(\w+)`", columns) for name, columns in re.findall(r"(?m)^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", PAGE)}
TEXTS: Final = frozenset(
    {
        "order_check_texts",
        "message_texts",
        "order_texts",
        "receipt_texts",
        "dead_letter_texts",
        "reconciliation_texts",
        "simulation_texts",
        "record_texts",
        "note_texts",
        "published_texts",
        "answer_texts",
        "failure_texts",
    }
)
PERSONAL: Final = frozenset({"persons", "published_keys", *TEXTS})
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def lived(kvitt_server: TestServer):
    """A store in which a hub has lived."""
    with kvitt_server.database() as conninfo:
        live(conninfo)
        with connect(conninfo) as connection:
            yield connection


def test_the_page_asks_what_a_person_on_duty_asks() -> None:
    assert len(QUESTIONS) == PAGE.count("\n### ") >= 20


@pytest.mark.parametrize("title", list(QUESTIONS))
def test_a_question_is_answered_with_the_columns_that_the_page_says(lived: Connection, title: str) -> None:
    query, columns = QUESTIONS[title]
    found = lived.execute(query.encode())
    assert [each.name for each in found.description or ()] == columns
    found.fetchall()


def test_the_page_has_every_view_with_its_columns(lived: Connection) -> None:
    rows = lived.execute(
        """SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'kvitt_views'
           ORDER BY 1, ordinal_position"""
    )
    there: dict[str, list[str]] = {}
    for view, column in rows:
        there.setdefault(str(view), []).append(str(column))
    assert there == VIEWS


def test_what_is_paid_for_each_day_is_what_the_rail_pays_for_it(kvitt_hub: Hub) -> None:
    """By weekday, once, and by month, also in a month that is neither the first nor the last one."""
    spring = {"fom": "2026-05-11", "tom": "2026-07-31", "beløp": 700}
    monthly = ts("T1", {**ts_payment(payment_uid("T1")), "perioder": [spring]}, rate="MND")
    kvitt_hub.put(primary_input(Scheme.TILLEGGSSTONADER), "monthly", monthly)
    once = ts("T2", ts_payment(payment_uid("T2"), 300, spans=[(10, 12)]), rate="EN_GANG")
    kvitt_hub.put(primary_input(Scheme.TILLEGGSSTONADER), "once", once)
    kvitt_hub.put(primary_input(Scheme.AAP), "weekdays", aap("A1"))
    kvitt_hub.run()
    query, _ = QUESTIONS["What is paid for each day of a month?"]
    answered = [(case_id, day, kroner) for day, _, case_id, _, _, kroner in kvitt_hub.connection.execute(query.encode())]
    cases = kvitt_hub.connection.execute("SELECT DISTINCT area, case_id FROM kvitt_views.orders").fetchall()
    due = [(case_id, day) for area, case_id in cases for day in schedule(kvitt_hub.connection, area, case_id)]
    june = [(case_id, day.date, day.amount) for case_id, day in due if (day.date.year, day.date.month) == (2026, 6)]
    assert ("T1", date(2026, 6, 1), 700) in june
    assert sorted(answered) == sorted(june)


def test_what_is_stuck_is_there_with_the_reason_and_what_ends_it(lived: Connection) -> None:
    stuck = {
        what: (scheme, case_id, why, ends_by)
        for what, scheme, case_id, why, ends_by in lived.execute("SELECT what, scheme, case_id, why, ends_by FROM kvitt_views.stuck")
    }
    scheme, case_id, why, ends_by = stuck["order held"]
    assert (scheme, case_id, ends_by) == ("AAP", "A3", "kvitt order release or withdraw")
    assert "by payment" in str(why)


def test_the_course_of_a_case_is_one_list(lived: Connection) -> None:
    rows = lived.execute(
        "SELECT what FROM kvitt_views.case_timeline WHERE scheme = 'AAP' AND case_id = 'A2' ORDER BY at, place, no"
    ).fetchall()
    happened = [str(what) for (what,) in rows]
    assert [each for each in happened if each != "published"] == [
        "received",
        "ordered",
        "line",
        "sending",
        "sent",
        "acknowledged",
        "settled",
    ]


def test_no_view_but_those_of_persons_and_bytes_shows_whose_a_case_is(lived: Connection) -> None:
    persons = {str(person) for (person,) in lived.execute("SELECT DISTINCT person FROM cases WHERE person IS NOT NULL")}
    assert persons
    for view in set(VIEWS) - PERSONAL:
        rows = lived.execute(sql.SQL("SELECT v::text FROM kvitt_views.{} AS v").format(sql.Identifier(view))).fetchall()
        assert not [row for (row,) in rows if any(person in str(row) for person in persons)], view


def test_the_words_of_a_rail_about_an_order_stand_where_persons_do_and_nowhere_else(database: str) -> None:
    words = f"Personen {PERSON} er ukjent"
    checks = {"AAP": CheckSettings(policy="block"), "DAGPENGER": CheckSettings(policy="block")}
    with scripted_server() as server:
        settings = asking(server)
        settings = replace(settings, simulation=replace(settings.simulation, checks=checks))
        server.scripts = {SIMULATION: [says(answers.business(words), 500), says(words.encode(), 503)]}
        with hub(conninfo=database, settings=settings) as site:
            site.put(primary_input(Scheme.AAP), "refused", aap("A1"))
            site.run()
            site.put(primary_input(Scheme.DAGPENGER), "silent", dp("D1"))
            site.run()
            for view in set(VIEWS) - PERSONAL:
                rows = site.connection.execute(sql.SQL("SELECT v::text FROM kvitt_views.{} AS v").format(sql.Identifier(view))).fetchall()
                assert not [row for (row,) in rows if PERSON in str(row)], view
            said = site.connection.execute("SELECT case_id, note, waits_for FROM kvitt_views.order_check_texts ORDER BY case_id").fetchall()
            assert [(case_id, words in str(note)) for case_id, note, _ in said] == [("A1", True), ("D1", False)]
            found = site.connection.execute("SELECT finding, waits_for, note FROM kvitt_views.order_checks ORDER BY case_id").fetchall()
            assert found == [("refused", None, "answer 500"), (None, "other status", None)]
            (held,) = Operate(site.connection, site.clock, site.ports).orders([OrderState.READY], held_only=True)
            assert words in held.held_for[0].text
