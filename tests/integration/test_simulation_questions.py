"""The question of a dry run is asked over HTTP as the hub publishes it, and its answer is written in the form of its scheme."""

import json
from datetime import date, timedelta

from lxml import etree

from kvitt.contracts.helved import topics
from kvitt.contracts.helved.dry_run import answer
from kvitt.disbursement.simulation import Simulation, of_case
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.simulation import SimulationClient
from kvitt.testing import hub
from support import simulation_answers as answers
from support.hub_messages import Json, aap
from support.patience import PATIENCE_SECONDS
from support.simulation_answers import Of, Row
from support.simulation_server import SIMULATION, says, scripted_server

ANSWER = answers.computed(
    (
        "2026-06-01",
        "2026-06-12",
        [
            Of([Row("2026-06-01", "5000.00", class_code="AAPOR", end="2026-06-12", rate="500.00", rate_type="DAG")], area="AAP"),
            Of([Row("2026-06-01", "99.00", class_code="UFOREX", end="2026-06-12")], area="UFOREUT", case_id="another"),
        ],
    ),
    total="5099.00",
)


def test_what_a_dry_run_asks_is_asked_and_answered_in_the_schemes_form(database: str) -> None:
    with hub(conninfo=database) as site, scripted_server() as server:
        site.put(topics.primary_input(Scheme.AAP), "asked", aap("S-1", 500, dryrun=True))
        site.run()
        (asked,) = site.published(topics.SIMULATIONS, "asked")
        server.scripts = {SIMULATION: [says(ANSWER)]}
        client = SimulationClient(server.access())
        try:
            outcome = client.ask(asked.value).result(PATIENCE_SECONDS).outcome
        finally:
            client.close()
        (got,) = server.asked
        question = etree.fromstring(got.body).find("{*}Body/{*}simulerBeregningRequest/request")
        assert question.findtext("oppdrag/fagsystemId") == "S-1"
        assert question.findtext("oppdrag/oppdragslinje/sats") == "500"
        assert question.findtext("simuleringsPeriode/datoSimulerTom") == "2026-06-12"
    assert isinstance(outcome, Simulation)
    own, left_out = of_case(outcome, Scheme.AAP, "S-1")
    assert [(each.area, each.case_id) for each in left_out] == [("UFOREUT", "another")]
    record = answer(Scheme.AAP, own, date(2026, 6, 15))
    assert isinstance(record, bytes)
    (period,) = json.loads(record)["perioder"]
    assert [(each["sakId"], each["nyttBeløp"]) for each in period["utbetalinger"]] == [("S-1", 5000)]


def many(days: int, *, dry_run: bool) -> Json:
    """A message of so many days, each with an amount of its own."""
    first = date(2026, 1, 1)
    entries = [
        {
            "id": f"00000000-0000-4000-8000-{count // 100:012}",
            "fom": str(first + timedelta(days=count)),
            "tom": str(first + timedelta(days=count)),
            "sats": 1000,
            "utbetaltBeløp": 1 + count % 7,
        }
        for count in range(days)
    ]
    return aap("S-1", utbetalinger=entries, dryrun=dry_run)


def test_a_dry_run_of_more_lines_than_the_rail_simulates_is_refused_and_the_message_itself_is_not(database: str) -> None:
    with hub(conninfo=database) as site:
        site.put(topics.primary_input(Scheme.AAP), "asked", many(1401, dry_run=True))
        site.run()
        (said,) = site.published(topics.STATUSES, "asked")
        assert said.json["status"] == "FEILET"
        assert said.json["simulering"] is True
        assert (said.json["error"]["statusCode"], said.json["error"]["msg"]) == (422, "Et oppdrag med over 1400 linjer kan ikke simuleres")
        assert site.published(topics.SIMULATIONS) == []
        with connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        site.put(topics.primary_input(Scheme.AAP), "fits", many(1400, dry_run=True))
        site.put(topics.primary_input(Scheme.AAP), "meant", many(1401, dry_run=False))
        site.run("intake", "relay")
        assert len(site.published(topics.SIMULATIONS, "fits")) == 1
        assert [each.json["status"] for each in site.published(topics.STATUSES, "meant")] == ["MOTTATT"]
        assert site.findings() == []
