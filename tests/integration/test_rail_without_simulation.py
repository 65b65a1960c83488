"""A dry run whose order would leave on a rail that can not be asked what it would do: its sender hears so, and the case goes on."""

from kvitt.app.ports import ports_of
from kvitt.broker_settings import RapidSettings
from kvitt.contracts.helved import topics
from kvitt.kernel.database import connect
from kvitt.settings import OpsSettings
from kvitt.testing import hub
from support.hub_messages import aap
from support.rail_kits import SCHEME
from support.toy_rail import ToyRail


def test_a_dry_run_on_a_rail_that_does_not_simulate_is_refused_and_decides_nothing(database: str) -> None:
    ports = ports_of(RapidSettings(), OpsSettings(), further=[ToyRail()], of_scheme={SCHEME: "toy"})
    with hub(conninfo=database, ports=ports) as site:
        site.put(topics.primary_input(SCHEME), "asked", aap("S-1", 500, dryrun=True))
        site.run()
        (said,) = site.published(topics.STATUSES, "asked")
        assert (said.json["status"], said.json["error"]["statusCode"]) == ("FEILET", 501)
        assert site.published(topics.SIMULATIONS) == []
        with connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        site.put(topics.primary_input(SCHEME), "meant", aap("S-1", 500))
        site.run("intake", "relay")
        assert [each.json["status"] for each in site.published(topics.STATUSES, "meant")] == ["MOTTATT"]
        assert site.findings() == []
