"""The question of a dry run is asked over HTTP, and its answer is published in the form of its scheme."""

from datetime import date, timedelta

from lxml import etree

from kvitt.contracts.helved import topics
from kvitt.disbursement.simulation_requests import listing
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.testing import hub
from support import simulation_answers as answers
from support.hub_messages import Json, aap
from support.simulation_answers import Of, Row
from support.simulation_server import SIMULATION, asking, says, scripted_server

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
    with scripted_server() as server, hub(conninfo=database, settings=asking(server)) as site:
        server.scripts = {SIMULATION: [says(ANSWER)]}
        site.put(topics.primary_input(Scheme.AAP), "asked", aap("S-1", 500, dryrun=True))
        site.run()
        (got,) = server.asked
        question = etree.fromstring(got.body).find("{*}Body/{*}simulerBeregningRequest/request")
        assert question.findtext("oppdrag/fagsystemId") == "S-1"
        assert question.findtext("oppdrag/oppdragslinje/sats") == "500"
        assert question.findtext("simuleringsPeriode/datoSimulerTom") == "2026-06-12"
        (record,) = site.published(topics.DRY_RUNS[Scheme.AAP], "asked")
        (period,) = record.json["perioder"]
        assert [(each["sakId"], each["nyttBeløp"]) for each in period["utbetalinger"]] == [("S-1", 5000)]
        assert site.published(topics.STATUSES, "asked") == []
        site.check()


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
        with connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        site.put(topics.primary_input(Scheme.AAP), "fits", many(1400, dry_run=True))
        site.put(topics.primary_input(Scheme.AAP), "meant", many(1401, dry_run=False))
        site.run("intake", "relay")
        asked = [each.message_no for each in listing(site.connection)]
        assert [site.connection.execute("SELECT key FROM messages WHERE message_no = %s", (each,)).fetchone() for each in asked] == [
            (b"fits",)
        ]
        assert [each.json["status"] for each in site.published(topics.STATUSES, "meant")] == ["MOTTATT"]
        assert site.findings() == []
