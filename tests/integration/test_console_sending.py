"""Sending is stopped and let go on from the console by one person, at once, and noted (design §11, §17)."""

from collections.abc import Iterator

import pytest

from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection, connect
from support.case_histories import CaseStage, aap
from support.console_script import command
from support.console_stage import ACTS, LOOKS, ConsoleSite, console_site

pytestmark = pytest.mark.usefixtures("made_up_people")

HANS = "H100002"
REASON = "the rates are wrong"


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as made:
        yield made


@pytest.fixture
def site(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with console_site(database, tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture
def stage(database: str) -> Iterator[CaseStage]:
    made = CaseStage(database)
    made.take(Scheme.AAP, aap("S1", [("2026-06-01", "2026-06-12", 500)]))
    yield made
    made.close()


def stops(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT rail, area, stopped_by, reason FROM stops").fetchall()


def acts(connection: Connection) -> list[object]:
    return [what for (what,) in connection.execute("SELECT what FROM audit WHERE chain = 0 ORDER BY seq")]


@pytest.mark.parametrize(("rail", "area"), [("*", "*"), ("*", "AAP"), ("oppdrag", "*"), ("oppdrag", "AAP")])
def test_what_is_stopped_does_not_leave_until_it_is_resumed(
    site: ConsoleSite, connection: Connection, stage: CaseStage, rail: str, area: str
) -> None:
    hans = site.browser(ACTS)
    assert "ready to send" in hans.get("/sending").words
    form = hans.get(f"/sending/stop?rail={rail}&area={area}")
    assert "1 orders with the check sum" in form.words
    assert stops(connection) == [], "it was only looked at"
    fields = form.fields(reason=REASON)
    shown = [hans.post("/sending/stop", fields) for _ in range(2)]
    assert [each.url for each in shown] == [f"{site.url}/sending"] * 2
    assert stops(connection) == [(rail, area, HANS, REASON)]
    assert stage.send() == []
    assert REASON in site.browser(LOOKS).get("/").words
    form = hans.get(hans.get("/sending").link("Resume"))
    assert f"it was stopped by {HANS}: {REASON}" in form.words
    assert "Nothing is stopped" in hans.post("/sending/resume", form.fields(reason="they are right again")).words
    assert len(stage.send()) == 1
    assert acts(connection) == ["stop", "resume"]


def test_a_stop_that_somebody_changed_meanwhile_is_looked_at_once_more(site: ConsoleSite, database: str, connection: Connection) -> None:
    hans = site.browser(ACTS)
    form = hans.get("/sending/stop?area=AAP").fields(reason=REASON)
    command("sending", "stop", "--area", "AAP", "--by", "kari", "--reason", "the rail is being moved", "--database", database)
    shown = hans.post("/sending/stop", form)
    assert (shown.status, "it is stopped already, by kari: the rail is being moved" in shown.words) == (409, True)
    resume = hans.get("/sending/resume?area=AAP").fields(reason=REASON)
    command("sending", "resume", "--area", "AAP", "--by", "kari", "--reason", "the rail is moved", "--database", database)
    assert hans.post("/sending/resume", resume).status == 409
    assert acts(connection) == ["stop", "resume"]


@pytest.mark.parametrize("place", ["rail=none", "area=XX", "rail=*&area=aap"])
def test_a_place_that_there_is_not_is_not_stopped(site: ConsoleSite, connection: Connection, place: str) -> None:
    assert site.browser(ACTS).get(f"/sending/stop?{place}").status == 400
    assert "It can not be done" in site.browser(ACTS).get(f"/sending/resume?{place}").words
    assert stops(connection) == []


def test_who_only_looks_stops_nothing(site: ConsoleSite, connection: Connection) -> None:
    live = site.browser(LOOKS)
    assert "a stop there" not in live.get("/sending").words
    forged = {"csrf": live.csrf, "once": "made-up", "seen": "0" * 64, "reason": REASON, "rail": "*", "area": "*"}
    for act in ("stop", "resume"):
        assert live.get(f"/sending/{act}").status == 403
        assert live.post(f"/sending/{act}", forged).status == 403
    assert stops(connection) == []
