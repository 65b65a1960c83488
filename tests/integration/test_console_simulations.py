"""Simulations in the console: lists, and one with its question, its answer and the differences, of persons only what the role shows."""

import pytest

from kvitt.api.console.pages import simulations
from kvitt.kernel.database import Connection
from support.console_pages import live_with_hostile_text
from support.console_stage import ACTS, LOOKS, ConsoleSite


@pytest.fixture(scope="module")
def conninfo(conninfo: str) -> str:
    live_with_hostile_text(conninfo)
    return conninfo


def newest(connection: Connection) -> tuple[int, int, str]:
    """Its number, its case and its person."""
    query = "SELECT request_no, case_no, person FROM simulation_requests ORDER BY request_no DESC LIMIT 1"
    request_no, case_no, person = connection.execute(query).fetchone() or (0, 0, "")
    return int(request_no), int(case_no), str(person)


def test_a_simulation_has_its_question_its_answer_and_how_they_differ(site: ConsoleSite, connection: Connection) -> None:
    request_no, case_no, person = newest(connection)
    browser = site.browser(ACTS)
    shown = browser.get(f"/simulations/{request_no}")
    for part in ("● answered", "The question as it is asked", "differs from what is expected", "not paid", "01.06.2026", "500 kr"):
        assert part in shown.words.replace("\u00a0", " "), part
    assert person not in shown.text
    browser.send(f"/cases/{case_no}/reveal")
    assert person in browser.get(f"/simulations/{request_no}").text
    looked = connection.execute("SELECT what FROM kvitt_views.looks WHERE case_no = %s ORDER BY look_no", [case_no]).fetchall()
    assert [what for (what,) in looked] == [
        f"simulation {request_no}",
        "asked to see the person",
        "case, with the person",
        f"simulation {request_no}, with the person",
    ]


def test_a_case_links_to_its_simulations_and_a_filter_says_how_far_it_has_looked(
    site: ConsoleSite, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_no, case_no, _ = newest(connection)
    browser = site.browser(LOOKS)
    assert f'href="/simulations?case={case_no}"' in browser.get(f"/cases/{case_no}").text
    listed = browser.get(f"/simulations?case={case_no}")
    assert f'href="/simulations/{request_no}"' in listed.text
    assert f'href="/simulations/{request_no}"' in browser.get("/simulations?state=answered").text
    monkeypatch.setattr(simulations, "_LOOKED_THROUGH", 1)
    assert "None that fit among these. Looked through 1 simulations" in browser.get("/simulations?state=failed").words
    assert "None that fit" in browser.get("/simulations?case=999999").words


@pytest.mark.parametrize("query", ["state=lost", "case=x", "case=-1", "case=99999999999999999999", "after=x"])
def test_what_is_no_filter_is_refused(site: ConsoleSite, query: str) -> None:
    assert site.browser(LOOKS).get(f"/simulations?{query}").status == 400


def test_a_simulation_that_is_not_there_is_a_page_that_says_so(site: ConsoleSite) -> None:
    assert site.browser(LOOKS).get("/simulations/999999").status == 404
