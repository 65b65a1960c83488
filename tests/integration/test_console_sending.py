"""Sending is stopped from the console by one person at once, and let go on by two, and noted (design §11, §17)."""

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection, connect
from support.case_histories import CaseStage, aap
from support.console_script import command
from support.console_stage import ACTS, APPROVES, LOOKS, ConsoleSite, Shown, console_site

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


def approve(site: ConsoleSite, asked: Shown) -> Shown:
    """Guro approves what somebody was led to when they had asked for it."""
    guro, path = site.browser(APPROVES), urlsplit(asked.url).path
    assert path.startswith("/approvals/"), asked.words
    return guro.post(f"{path}/approve", guro.get(path).fields())


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
    assert "ready to leave there by now: 1 order" in form.words
    assert stops(connection) == [], "it was only looked at"
    fields = form.fields(reason=REASON)
    shown = [hans.post("/sending/stop", fields) for _ in range(2)]
    assert [each.url for each in shown] == [f"{site.url}/sending"] * 2
    assert stops(connection) == [(rail, area, HANS, REASON)]
    assert stage.send() == []
    assert REASON in site.browser(LOOKS).get("/").words
    form = hans.get(hans.get("/sending").link("Resume"))
    assert f"was stopped by {HANS} at" in form.words
    asked = hans.post("/sending/resume", form.fields(reason="they are right again"))
    assert stage.send() == [], "one person asks"
    approve(site, asked)
    assert "Nothing is stopped" in hans.get("/sending").words
    assert len(stage.send()) == 1
    assert acts(connection) == ["stop", "approval asked", "resume", "approval confirmed"]


def test_a_stop_that_somebody_changed_meanwhile_is_looked_at_once_more(site: ConsoleSite, database: str, connection: Connection) -> None:
    hans = site.browser(ACTS)
    form = hans.get("/sending/stop?area=AAP").fields(reason=REASON)
    command("sending", "stop", "--area", "AAP", "--by", "kari", "--reason", "the rail is being moved", "--database", database)
    shown = hans.post("/sending/stop", form)
    assert (shown.status, "by kari" in shown.words, "the rail is being moved" in shown.words) == (409, True, True)
    resume = hans.get("/sending/resume?area=AAP").fields(reason=REASON)
    by = ("--by", "kari", "--approved-by", "ola", "--reason", "the rail is moved")
    assert command("sending", "resume", "--area", "AAP", *by, "--database", database).returncode == 0
    assert hans.post("/sending/resume", resume).status == 409
    assert acts(connection) == ["stop", "resume"]


def test_what_leaves_is_shown_at_asking_and_by_now_and_makes_no_other_effect(
    site: ConsoleSite, connection: Connection, stage: CaseStage
) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    hans.post("/sending/stop", hans.get("/sending/stop").fields(reason=REASON))
    asked = hans.post("/sending/resume", hans.get("/sending/resume").fields(reason="they are right again"))
    assert "AAP: 1 order, check sum 500 kr" in asked.words
    stage.take(Scheme.AAP, aap("S2", [("2026-07-01", "2026-07-12", 700)], payment=UUID(int=2, version=4)))
    path = urlsplit(asked.url).path
    form = guro.get(path)
    assert "AAP: 1 order, check sum 500 kr" in form.words, "as it was asked for"
    assert "AAP: 2 orders, check sum 1200 kr" in form.words, "as it is by now"
    stage.take(Scheme.AAP, aap("S3", [("2026-07-01", "2026-07-12", 900)], payment=UUID(int=3, version=4)))
    guro.post(f"{path}/approve", form.fields())
    assert stops(connection) == []
    assert len(stage.send()) == 3


def test_another_stop_there_is_another_effect(site: ConsoleSite, connection: Connection, stage: CaseStage, database: str) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    hans.post("/sending/stop", hans.get("/sending/stop").fields(reason=REASON))
    path = urlsplit(hans.post("/sending/resume", hans.get("/sending/resume").fields(reason="they are right again")).url).path
    form = guro.get(path).fields()
    by = ("--by", "kari", "--reason", "the rail pays double", "--database", database)
    assert command("sending", "stop", "--area", "AAP", *by).returncode == 0
    shown = guro.post(f"{path}/approve", form)
    assert (shown.status, "Nothing was done" in shown.words) == (409, True)
    assert "another stop stays: area AAP was stopped by kari" in shown.words
    assert "which another stop keeps" in shown.words
    assert len(stops(connection)) == 2


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
