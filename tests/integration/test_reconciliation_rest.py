"""The calls of reconciliation as their callers know them: ranges, runs, previews, each area for itself, and all that may be wrong."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

import kvitt.testing
from kvitt.api.rest.callers import Permission
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import DayRange, Run
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.settings import ReconciliationSettings, Settings
from kvitt.testing import Hub, TestServer
from support.hub_messages import aap, dp, text, ts, ts_payment

TUESDAY, WEDNESDAY, THURSDAY, SUNDAY, MONDAY = "2026-06-30", "2026-07-01", "2026-07-02", "2026-07-05", "2026-07-06"
HOLIDAY = "Today is a holiday or weekend, no avstemming"
Json = dict[str, Any]


@pytest.fixture
def hub(database: str) -> Iterator[Hub]:
    """A hub on a Wednesday, whose books are proved at the end."""
    with kvitt.testing.hub(conninfo=database) as made:
        yield made
        made.check()


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    with hub.rest.client(application="smokesignal") as made:
        yield made


def wake_up_on(hub: Hub, day: str) -> None:
    hub.clock.set(datetime.fromisoformat(f"{day}T05:00:00").replace(tzinfo=UTC))


def pay(hub: Hub, scheme: Scheme, case: str, body: Json) -> None:
    """A decision that goes the whole way."""
    hub.put(primary_input(scheme), case, text(body))
    hub.run()


def days(first: str, last: str, today: str = THURSDAY, **changes: Any) -> Json:
    return {"today": today, "fom": f"{first}T00:00:00", "tom": f"{last}T23:59:59.999999999", **changes}


def runs(hub: Hub) -> list[tuple[object, ...]]:
    columns = "area, first_day::text, last_day::text, orders, trigger, made_by"
    return hub.connection.execute(f"SELECT {columns} FROM reconciliation_runs WHERE orders > 0 ORDER BY run_no".encode()).fetchall()


def count_runs(hub: Hub) -> int:
    return int(hub.connection.execute(b"SELECT count(*) FROM reconciliation_runs").fetchall()[0][0])


def said(response: httpx.Response) -> tuple[int, str]:
    """Status and text of an answer in plain words."""
    assert response.headers["content-type"].startswith("text/plain")
    return response.status_code, response.text


def test_a_day_is_asked_for_and_reconciled_once_in_every_area(hub: Hub, client: httpx.Client) -> None:
    pay(hub, Scheme.DAGPENGER, "D-1", dp("D-1"))
    pay(hub, Scheme.AAP, "A-1", aap("A-1"))
    wake_up_on(hub, THURSDAY)
    asked = client.post("/api/next_range", json={"date": THURSDAY})
    assert (asked.status_code, asked.text) == (
        200,
        '{"today":"2026-07-02","fom":"2026-07-01T00:00:00","tom":"2026-07-01T23:59:59.999999999"}',
    )
    done = client.post("/api/avstem", json=asked.json())
    assert (done.status_code, done.content) == (200, b"")
    assert sorted(runs(hub)) == [(area, WEDNESDAY, WEDNESDAY, 1, "call", "smokesignal/smokesignal") for area in ("AAP", "DP")]
    again = client.post("/api/next_range", json={"date": THURSDAY}).json()
    assert again == {"today": THURSDAY, "fom": "2026-07-02T00:00:00", "tom": "2026-07-01T23:59:59.999999999"}
    for body in (again, asked.json(), days(TUESDAY, WEDNESDAY)):
        assert said(client.post("/api/avstem", json=body)) == (409, "Already avstemt today (2026-07-02)")
    wake_up_on(hub, "2026-07-03")
    assert client.post("/api/next_range", json={"date": "2026-07-03"}).json()["fom"] == "2026-07-02T00:00:00"


def test_a_first_call_that_falls_out_leaves_no_hole(hub: Hub, client: httpx.Client) -> None:
    pay(hub, Scheme.AAP, "A-1", aap("A-1"))
    wake_up_on(hub, MONDAY)
    asked = client.post("/api/next_range", json={"date": MONDAY}).json()
    assert asked == days(WEDNESDAY, SUNDAY, MONDAY)
    refused = client.post("/api/avstem", json=days(THURSDAY, SUNDAY, MONDAY))
    assert (refused.status_code, "would leave out 2026-07-01" in refused.text) == (400, True)
    assert client.post("/api/avstem", json=asked).status_code == 200
    assert [run[:4] for run in runs(hub)] == [("AAP", WEDNESDAY, SUNDAY, 1)]


def test_after_days_without_work_one_range_covers_all_of_them(hub: Hub, client: httpx.Client) -> None:
    wake_up_on(hub, "2026-07-03")
    assert client.post("/api/avstem", json=days(THURSDAY, THURSDAY, "2026-07-03")).status_code == 200
    wake_up_on(hub, SUNDAY)
    asked = client.post("/api/next_range", json={"date": SUNDAY}).json()
    assert asked == days("2026-07-03", "2026-07-04", SUNDAY)
    for body in (asked, {**asked, "today": "2026-07-03"}):
        assert said(client.post("/api/avstem", json=body)) == (423, HOLIDAY)
    wake_up_on(hub, MONDAY)
    assert said(client.post("/api/avstem", json=asked)) == (423, HOLIDAY)
    asked = client.post("/api/next_range", json={"date": MONDAY}).json()
    assert asked == days("2026-07-03", SUNDAY, MONDAY)
    assert client.post("/api/avstem", json=asked).status_code == 200


def test_an_area_that_fails_is_named_and_a_repeated_call_makes_only_that(
    hub: Hub, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay(hub, Scheme.DAGPENGER, "D-1", dp("D-1"))
    pay(hub, Scheme.AAP, "A-1", aap("A-1"))
    wake_up_on(hub, THURSDAY)
    make = Reconcile.make

    def fails(self: Reconcile, area: str, days: DayRange, *rest: Any, **named: Any) -> Run:
        if area == "DP":
            raise RuntimeError("in the middle of it")
        return make(self, area, days, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Reconcile, "make", fails)
        failed = client.post("/api/avstem", json=days(WEDNESDAY, WEDNESDAY))
    assert (failed.status_code, failed.json()["code"]) == (500, "reconciliation_failed")
    assert failed.json()["detail"].startswith("DP could not be reconciled")
    assert [run[0] for run in runs(hub)] == ["AAP"]
    made = count_runs(hub)
    assert client.post("/api/avstem", json=days(WEDNESDAY, WEDNESDAY)).status_code == 200
    assert ([run[0] for run in runs(hub)], count_runs(hub)) == (["AAP", "DP"], made + 1)


def test_a_preview_has_the_bytes_that_would_leave_and_can_be_had_of_a_day_that_is_reported(hub: Hub, client: httpx.Client) -> None:
    pay(hub, Scheme.DAGPENGER, "D-1", dp("D-1"))
    pay(hub, Scheme.TILLEGGSSTONADER, "T-1", ts("T-1", ts_payment("6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1", benefit="DAGLIG_REISE_AAP")))
    wake_up_on(hub, THURSDAY)
    body = days(TUESDAY, WEDNESDAY, tom=f"{WEDNESDAY}T23:59:59")
    seen = client.post("/api/avstem/dryrun", json=body)
    assert seen.status_code == 200
    assert [list(each) for each in seen.json()] == [["first", "second"]] * 2
    assert {each["first"] for each in seen.json()} == {"DP", "TILLSTDR"}
    assert count_runs(hub) == 0
    assert client.post("/api/avstem", json=body).status_code == 200
    stored = {
        area: [bytes(each).decode() for each in bodies]
        for area, bodies in hub.connection.execute(
            b"SELECT area, array_agg(body ORDER BY place) FROM reconciliation_messages JOIN reconciliation_runs USING (run_no) GROUP BY 1"
        ).fetchall()
    }
    assert {each["first"]: each["second"] for each in seen.json()} == stored
    once_more = client.post("/api/avstem/dryrun", json=body).json()
    assert [(each["first"], len(each["second"])) for each in once_more] == [(each["first"], 3) for each in seen.json()]


def test_one_scheme_is_started_and_says_in_a_json_text_that_it_is_done(hub: Hub, client: httpx.Client) -> None:
    pay(hub, Scheme.DAGPENGER, "D-1", dp("D-1"))
    pay(hub, Scheme.AAP, "A-1", aap("A-1"))
    wake_up_on(hub, THURSDAY)
    started = client.post("/intern/avstemming/start/DAGPENGER")
    assert (started.status_code, started.content) == (202, b"")
    assert [run[0] for run in runs(hub)] == ["DP"]
    again = client.post("/intern/avstemming/start/DAGPENGER")
    assert (again.status_code, again.json()) == (409, "Grensesnittavstemming kjører allerede for fagsystem DAGPENGER")
    assert again.headers["content-type"].startswith("application/json")
    assert client.post("/intern/avstemming/start/TILLEGGSSTØNADER").status_code == 202
    assert client.post("/api/avstem", json=days(WEDNESDAY, WEDNESDAY)).status_code == 200
    wake_up_on(hub, SUNDAY)
    assert said(client.post("/intern/avstemming/start/AAP")) == (423, HOLIDAY)


def test_who_is_just_reconciling_an_area_is_not_waited_for(hub: Hub, client: httpx.Client) -> None:
    wake_up_on(hub, THURSDAY)
    with connect(hub.conninfo) as other, other.transaction():
        other.execute("INSERT INTO reconciled_areas (rail, area, kind) VALUES ('oppdrag', 'DP', 'interface')")
        started = client.post("/intern/avstemming/start/DAGPENGER")
        assert (started.status_code, started.json()) == (409, "Grensesnittavstemming kjører allerede for fagsystem DAGPENGER")
    assert client.post("/intern/avstemming/start/DAGPENGER").status_code == 202


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    """A hub on a Thursday, whose helved areas are reconciled up to Tuesday."""
    with kvitt_server.database() as conninfo, kvitt.testing.hub(conninfo=conninfo) as made:
        with made.rest.client() as client:
            assert client.post("/api/avstem", json=days(TUESDAY, TUESDAY, WEDNESDAY)).status_code == 200
        wake_up_on(made, THURSDAY)
        yield made


@pytest.fixture(scope="module")
def caller(site: Hub) -> Iterator[httpx.Client]:
    """A caller of that hub who may do everything."""
    with site.rest.client() as made:
        yield made


WRONG_RANGES: list[tuple[object, str]] = [
    ({}, "today"),
    ({"today": THURSDAY, "fom": f"{WEDNESDAY}T00:00:00"}, "tom"),
    (days(WEDNESDAY, WEDNESDAY, today="02.07.2026"), "today"),
    (days(WEDNESDAY, WEDNESDAY, today="2026-07-03"), "today"),
    (days(WEDNESDAY, WEDNESDAY, today="0001-01-01"), "today"),
    (days(WEDNESDAY, WEDNESDAY, fom=f"{WEDNESDAY}T00:00:01"), "fom"),
    (days(WEDNESDAY, WEDNESDAY, fom=f"{WEDNESDAY}T00:00:00.000000001"), "fom"),
    (days(WEDNESDAY, WEDNESDAY, fom=f"{WEDNESDAY}T00:00:00Z"), "fom"),
    (days(WEDNESDAY, WEDNESDAY, fom="2026-02-30T00:00:00"), "fom"),
    (days(WEDNESDAY, WEDNESDAY, fom="0001-01-01T00:00:00"), "fom"),
    (days(WEDNESDAY, WEDNESDAY, fom=f"{WEDNESDAY}T00:00:00\n"), "fom"),
    (days(WEDNESDAY, WEDNESDAY, fom=20260701), "fom"),
    (days(WEDNESDAY, WEDNESDAY, tom=f"{WEDNESDAY}T12:00:00"), "tom"),
    (days(WEDNESDAY, WEDNESDAY, tom=f"{THURSDAY}T00:00:00"), "tom"),
    (days(WEDNESDAY, WEDNESDAY, tom=f"{WEDNESDAY}T24:00:00"), "tom"),
    (days(WEDNESDAY, WEDNESDAY, tom=f"{WEDNESDAY}T23:59:59.9999999999"), "tom"),
    (days(WEDNESDAY, THURSDAY), "tom"),
    (days(WEDNESDAY, "9999-12-31"), "tom"),
    (days(WEDNESDAY, TUESDAY, fom=f"{THURSDAY}T00:00:00", tom=f"{WEDNESDAY}T23:59:59"), "tom"),
    (days(WEDNESDAY, WEDNESDAY, område="DP"), "område"),
    ([days(WEDNESDAY, WEDNESDAY)], ""),
]


@pytest.mark.parametrize(("body", "field"), WRONG_RANGES)
@pytest.mark.parametrize("path", ["/api/avstem", "/api/avstem/dryrun"])
def test_a_wrong_range_is_refused_by_field_and_rule_and_nothing_is_made(
    site: Hub, caller: httpx.Client, path: str, body: object, field: str
) -> None:
    before = count_runs(site)
    response = caller.post(path, json=body)
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
    assert field in [each["field"] for each in response.json()["errors"]]
    assert all(each["rule"] for each in response.json()["errors"])
    assert count_runs(site) == before


def test_a_range_that_would_leave_out_a_day_is_refused(site: Hub, caller: httpx.Client) -> None:
    wake_up_on(site, "2026-07-03")
    refused = caller.post("/api/avstem", json=days(THURSDAY, THURSDAY, "2026-07-03"))
    assert refused.status_code == 400
    assert refused.json()["errors"] == [{"field": "fom", "rule": "would leave out 2026-07-01, which is not reconciled in every area"}]
    assert caller.post("/api/avstem/dryrun", json=days(THURSDAY, THURSDAY, "2026-07-03")).json() == []
    wake_up_on(site, THURSDAY)


def test_areas_that_are_to_begin_on_a_set_day_begin_there_and_not_before_or_behind_it(database: str) -> None:
    set_to = replace(Settings(), reconciliation=ReconciliationSettings(first_day=date(2026, 7, 2)))
    with kvitt.testing.hub(conninfo=database, settings=set_to) as made, made.rest.client(application="smokesignal") as client:
        pay(made, Scheme.AAP, "A-1", aap("A-1"))
        wake_up_on(made, THURSDAY)
        asked = client.post("/api/next_range", json={"date": THURSDAY}).json()
        assert asked == days(THURSDAY, WEDNESDAY)
        # Somebody else reports Wednesday.
        for body in (asked, days(WEDNESDAY, WEDNESDAY)):
            assert said(client.post("/api/avstem", json=body)) == (409, "Already avstemt today (2026-07-02)")
        wake_up_on(made, MONDAY)
        refused = client.post("/api/avstem", json=days("2026-07-03", SUNDAY, MONDAY))
        assert refused.json()["errors"] == [{"field": "fom", "rule": "would leave out 2026-07-02, which is not reconciled in every area"}]
        assert client.post("/api/avstem", json=days(WEDNESDAY, SUNDAY, MONDAY)).status_code == 200
        found = made.connection.execute(b"SELECT DISTINCT first_day::text, last_day::text, orders FROM reconciliation_runs").fetchall()
        assert found == [(THURSDAY, SUNDAY, 0)]
        made.check()


@pytest.mark.parametrize(
    "body", [{}, {"date": "2026-7-2"}, {"date": None}, {"date": "2026-07-03"}, {"date": "0001-01-01"}, {"date": [2026, 7, 2]}]
)
def test_a_wrong_day_is_refused_by_field_and_rule(caller: httpx.Client, body: Json) -> None:
    response = caller.post("/api/next_range", json=body)
    assert (response.status_code, [each["field"] for each in response.json()["errors"]]) == (400, ["date"])


@pytest.mark.parametrize("scheme", ["SYKEPENGER", "dagpenger", "DP", "DAGPENGER%00", "%20"])
def test_a_scheme_that_is_none_of_these_callers_is_refused(caller: httpx.Client, scheme: str) -> None:
    response = caller.post(f"/intern/avstemming/start/{scheme}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "fagsystem")


def test_each_call_needs_its_permission(site: Hub) -> None:
    calls: list[tuple[str, object, Permission]] = [
        ("/api/next_range", {"date": THURSDAY}, Permission.RECONCILIATION_READ),
        ("/api/avstem/dryrun", days(TUESDAY, TUESDAY), Permission.RECONCILIATION_READ),
        ("/api/avstem", days(TUESDAY, TUESDAY), Permission.RECONCILIATION_WRITE),
        ("/intern/avstemming/start/DAGPENGER", None, Permission.RECONCILIATION_WRITE),
    ]
    assert {httpx.post(site.rest.url + path, json=body).status_code for path, body, _ in calls} == {401}
    for path, body, needed in calls:
        with site.rest.client(*(each for each in Permission if each is not needed)) as client:
            refused = client.post(path, json=body)
        assert (refused.status_code, refused.json()["detail"]) == (403, f"{needed.value} is needed")
        with site.rest.client(needed) as client:
            assert client.post(path, json=body).status_code in (200, 202, 409)


def test_the_description_names_both_forms_of_a_conflict(caller: httpx.Client) -> None:
    paths = caller.get("/schema/openapi.json").json()["paths"]
    answers = {path: paths[path]["post"]["responses"] for path in ("/api/avstem", "/intern/avstemming/start/{fagsystem}")}
    assert {path: sorted(each["409"]["content"]) for path, each in answers.items()} == {
        "/api/avstem": ["application/problem+json", "text/plain"],
        "/intern/avstemming/start/{fagsystem}": ["application/json", "application/problem+json"],
    }
