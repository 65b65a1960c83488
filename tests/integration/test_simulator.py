"""Dry runs on the real way: a record on a topic, a row, the rail's simulation over HTTP, and one answer in the form of its contract."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from kvitt.contracts.helved import topics
from kvitt.disbursement.simulation_requests import SimulationState, listing, read
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.rails.oppdrag.emulator.faults import Chance
from kvitt.rails.oppdrag.emulator.habits import ServiceFault, ServiceFaults
from kvitt.settings import Settings, SimulationSettings
from kvitt.testing import Hub, TestServer, hub
from support.hub_messages import Json, aap, dp, historisk, payment_uid, person_of, tp, ts, ts_payment, valp
from support.rapid_messages import need
from support.simulation_needs import simulation_need

CASES = count(1)
ONCE = Chance(next=1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo) as made:
        yield made
        made.check()
        assert made.rail.violations() == ()


@pytest.fixture(autouse=True)
def well_behaved(site: Hub) -> Iterator[None]:
    yield
    site.rail.simulation()


@pytest.fixture
def case() -> str:
    return f"S-{next(CASES)}"


def put(site: Hub, scheme: Scheme, key: str, body: Json) -> None:
    site.put(topics.primary_input(scheme), key, body)
    site.run()


def statuses(site: Hub, key: str) -> list[Any]:
    return [each.json for each in site.published(topics.STATUSES, key)]


def dry_runs(site: Hub, scheme: Scheme, key: str) -> list[Any]:
    return [each.json for each in site.published(topics.DRY_RUNS[scheme], key)]


def solutions(site: Hub, key: str) -> list[Any]:
    return [each.json["@løsning"]["Simulering"] for each in site.published(RAPID, key) if "@løsning" in each.json]


@pytest.mark.parametrize(("scheme", "body"), [(Scheme.AAP, aap), (Scheme.DAGPENGER, dp)])
def test_a_dry_run_hears_of_each_payment_on_its_schemes_topic_and_nothing_else(site: Hub, case: str, scheme: Scheme, body: Any) -> None:
    put(site, scheme, case, body(case, 500, dryrun=True))
    (said,) = dry_runs(site, scheme, case)
    assert said["@type"] == "v2"
    assert {each["sakId"] for period in said["perioder"] for each in period["utbetalinger"]} == {case}
    assert all(each["tidligereUtbetalt"] == 0 and each["nyttBeløp"] > 0 for period in said["perioder"] for each in period["utbetalinger"])
    assert statuses(site, case) == []
    assert site.published(topics.ORDERS, case) == site.published(topics.PENDING_PAYMENTS, case) == []


@pytest.mark.parametrize(("scheme", "body"), [(Scheme.TILLEGGSSTONADER, ts), (Scheme.TILTAKSPENGER, tp)])
def test_a_dry_run_hears_of_each_month_on_its_schemes_topic(site: Hub, case: str, scheme: Scheme, body: Any) -> None:
    message = ts(case, ts_payment(payment_uid(case)), dryrun=True) if scheme is Scheme.TILLEGGSSTONADER else body(case, dryrun=True)
    put(site, scheme, case, message)
    (said,) = dry_runs(site, scheme, case)
    assert said["@type"] == "v1"
    assert sum(month["nyUtbetaling"] for month in said["oppsummeringer"]) > 0
    assert said["detaljer"]["totalBeløp"] > 0


def test_a_dry_run_over_areas_is_asked_about_each_and_answered_once(site: Hub, case: str) -> None:
    over = [ts_payment(payment_uid(case, n), benefit=benefit) for n, benefit in enumerate(("BOUTGIFTER_AAP", "TILSYN_BARN_AAP"))]
    put(site, Scheme.TILLEGGSSTONADER, case, ts(case, *over, dryrun=True))
    (said,) = dry_runs(site, Scheme.TILLEGGSSTONADER, case)
    rows = [row for period in said["detaljer"]["perioder"] for row in period["posteringer"]]
    assert {row["fagområde"] for row in rows} == {"TILLSTBO", "TILLSTPB"}
    assert len([each for each in site.rail.simulated() if each.case_id == case]) == 2


@pytest.mark.parametrize(("scheme", "body"), [(Scheme.HISTORISK, historisk), (Scheme.VALP, valp)])
def test_a_scheme_without_a_topic_for_dry_runs_hears_ok(site: Hub, case: str, scheme: Scheme, body: Any) -> None:
    put(site, scheme, case, body(case, dryrun=True))
    (said,) = statuses(site, case)
    assert (said["status"], said["simulering"]) == ("OK", True)


def test_what_is_already_paid_stands_beside_what_will_be(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, aap(case, 500))
    site.clock.advance(timedelta(days=1))
    site.rail.pay()
    put(site, Scheme.AAP, f"{case} dry", aap(case, 700, dryrun=True))
    (said,) = dry_runs(site, Scheme.AAP, f"{case} dry")
    (paid,) = [each for period in said["perioder"] for each in period["utbetalinger"]]
    assert (paid["tidligereUtbetalt"], paid["nyttBeløp"]) == (5000, 2000)


def test_nothing_changed_and_a_broken_rule_are_answered_without_the_rail(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, aap(case, 500))
    asked = len(site.rail.simulated())
    put(site, Scheme.AAP, f"{case} same", aap(case, 500, dryrun=True))
    put(site, Scheme.AAP, f"{case} broken", aap(case, 500, behandlingId="x" * 31, dryrun=True))
    (said,) = dry_runs(site, Scheme.AAP, f"{case} same")
    assert (said["@type"], said["status"]) == ("info", "OK_UTEN_ENDRING")
    (same,), (broken,) = statuses(site, f"{case} same"), statuses(site, f"{case} broken")
    assert (same["status"], same["simulering"], broken["status"], broken["simulering"]) == ("OK", True, "FEILET", True)
    assert len(site.rail.simulated()) == asked


def test_a_case_with_an_open_order_is_answered_at_once_with_the_age_of_that_order(site: Hub, case: str) -> None:
    site.put(topics.primary_input(Scheme.AAP), case, aap(case, 500))
    site.run("intake", "relay")
    site.clock.advance(timedelta(minutes=12))
    site.put(topics.primary_input(Scheme.AAP), f"{case} dry", aap(case, 700, dryrun=True))
    site.run("intake", "relay")
    (said,) = statuses(site, f"{case} dry")
    assert (said["status"], said["simulering"], said["error"]["statusCode"]) == ("FEILET", True, 409)
    assert "ventet på kvittering i 12 minutter" in said["error"]["msg"]


def test_an_order_that_comes_before_it_is_asked_refuses_a_dry_run(site: Hub, case: str) -> None:
    site.put(topics.primary_input(Scheme.AAP), f"{case} dry", aap(case, 700, dryrun=True))
    site.put(topics.primary_input(Scheme.AAP), case, aap(case, 500))
    site.run("intake", "simulator", "relay")
    (said,) = statuses(site, f"{case} dry")
    assert (said["status"], said["error"]["statusCode"]) == ("FEILET", 409)
    assert [each.state for each in listing(site.connection, key=(Scheme.AAP, case))] == [SimulationState.REFUSED]


def test_what_waited_too_long_for_its_turn_is_answered_without_the_rail(site: Hub, case: str) -> None:
    site.put(topics.primary_input(Scheme.AAP), case, aap(case, 700, dryrun=True))
    site.run("intake")
    site.clock.advance(timedelta(seconds=301))
    asked = len(site.rail.simulated())
    site.run()
    assert [each["status"] for each in statuses(site, case)] == ["FEILET"]
    assert len(site.rail.simulated()) == asked


@pytest.mark.parametrize(
    ("faults", "error", "state"),
    [
        (ServiceFaults(closed=True), (502, "simulering stengt"), SimulationState.CLOSED),
        (ServiceFaults(gateway=ONCE), (502, "simulering stengt"), SimulationState.CLOSED),
        (
            ServiceFaults(fault=ONCE, answers_with=ServiceFault.UNKNOWN_PERSON),
            (404, "Personen finnes ikke"),
            SimulationState.FAILED,
        ),
        (ServiceFaults(cut=ONCE), (500, "Result.catch failed"), SimulationState.FAILED),
    ],
)
def test_a_rail_that_does_not_simulate_is_an_answer(
    site: Hub, case: str, faults: ServiceFaults, error: tuple[int, str], state: SimulationState
) -> None:
    site.rail.simulation(faults=faults)
    put(site, Scheme.AAP, case, aap(case, 700, dryrun=True))
    (said,) = statuses(site, case)
    assert (said["status"], said["simulering"], said["error"]["statusCode"]) == ("FEILET", True, error[0])
    assert error[1] in said["error"]["msg"]
    assert dry_runs(site, Scheme.AAP, case) == []
    assert [each.state for each in listing(site.connection, key=(Scheme.AAP, case))] == [state]


def test_names_with_signs_of_xml_come_through(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, aap(f"{case}&<>", 500, saksbehandler="A&B<C>'\"", dryrun=True))
    (said,) = dry_runs(site, Scheme.AAP, case)
    assert {each["sakId"] for period in said["perioder"] for each in period["utbetalinger"]} == {f"{case}&<>"}


def test_a_need_is_answered_where_it_stands_with_three_keys(site: Hub, case: str) -> None:
    site.put(RAPID, case, simulation_need(case))
    site.run()
    (solution,) = solutions(site, case)
    assert [*solution] == ["status", "feilmelding", "simulering"]
    assert (solution["status"], solution["feilmelding"]) == ("OK", None)
    recipients = [each for period in solution["simulering"]["periodeList"] for each in period["utbetaling"]]
    assert {each["fagSystemId"] for each in recipients} == {case}
    assert site.sent() == () or all(case.encode() not in each.message for each in site.sent())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"klassekode": "SPUKJENT"}, "Simulering.linjer[0].klassekode"),
        ({"sats": "mange"}, "Simulering.linjer[0].sats"),
        ({"fom": "2024-02-30"}, "Simulering.linjer[0].fom"),
        ({"grad": 101}, "Simulering.linjer[0].grad"),
    ],
)
def test_a_need_that_can_not_be_asked_hears_why(site: Hub, case: str, change: Json, said: str) -> None:
    site.put(RAPID, case, simulation_need(case, **change))
    site.run()
    (solution,) = solutions(site, case)
    assert (solution["status"], solution["simulering"]) == ("FUNKSJONELL_FEIL", None)
    assert solution["feilmelding"].startswith("Feil i requesten vår til Spenn Simulering: Simulering feilet på grunn av funksjonell feil. ")
    assert said in solution["feilmelding"]


def test_a_need_without_lines_asks_for_nothing_and_hears_that(site: Hub, case: str) -> None:
    asked = simulation_need(case)
    asked["Simulering"]["linjer"] = []
    site.put(RAPID, case, asked)
    site.run()
    assert solutions(site, case) == [{"status": "OK", "feilmelding": None, "simulering": None}]


def test_a_need_about_a_case_with_an_open_order_is_answered_at_once(site: Hub, case: str) -> None:
    site.put(RAPID, f"{case} order", need(fagsystemId=case, utbetalingId=payment_uid(case), fødselsnummer=person_of(case)))
    site.put(RAPID, case, simulation_need(case))
    site.run("intake", "relay")
    (solution,) = solutions(site, case)
    assert solution["status"] == "FUNKSJONELL_FEIL"
    assert "Saken har et åpent oppdrag" in solution["feilmelding"]
    site.run()


def test_a_need_is_asked_about_again_after_a_technical_failure_and_answered_once(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(cut=ONCE))
    site.put(RAPID, case, simulation_need(case))
    site.run()
    assert [each["status"] for each in solutions(site, case)] == ["OK"]
    (found,) = listing(site.connection, key=(Scheme.SYKEPENGER, case))
    stored = read(site.connection, found.request_no)
    assert stored is not None
    assert [each.attempts for each in stored.questions] == [2]


def test_a_simulation_that_is_turned_off_is_as_closed_as_outside_its_hours(database: str) -> None:
    with hub(conninfo=database, settings=Settings(simulation=SimulationSettings(on=False))) as site:
        site.put(topics.primary_input(Scheme.AAP), "asked", aap("S-1", 500, dryrun=True))
        site.put(RAPID, "asked", simulation_need("S-2"))
        site.run()
        assert [each["error"]["statusCode"] for each in statuses(site, "asked")] == [502]
        assert solutions(site, "asked") == [{"status": "OPPDRAG_UR_ER_STENGT", "feilmelding": "Oppdrag/UR er stengt", "simulering": None}]
        site.check()


def test_what_is_no_json_and_names_the_need_is_kept(site: Hub) -> None:
    site.put(RAPID, "broken", b'{"@behov":["Simulering"')
    site.run()
    assert site.connection.execute("SELECT count(*) FROM dead_letters WHERE key = 'broken'").fetchone() == (1,)
    assert json.dumps(solutions(site, "broken")) == "[]"
