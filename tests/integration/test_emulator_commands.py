"""`kvitt emulator`: payment runs, what is held back, how the simulation behaves, and who asked for one; and where a hub has it."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from click.testing import CliRunner, Result

from kvitt.app.hub import HubProcess
from kvitt.app.main import main
from kvitt.rails.oppdrag.emulator import Chance, ServiceFault, ServiceFaults, ServiceHabits, get_habits, get_service_faults, posted_rows
from kvitt.rails.oppdrag.emulator.bank_days import next_bank_day, oslo_day
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from kvitt.rails.oppdrag.emulator.watch import ViolationKind, add_violations
from kvitt.settings import Settings
from support.emulator_orders import PERSON, Line, order_xml
from support.emulator_stage import Rail, staged
from support.simulation_stage import SOAP_PATH, TOKEN_PATH, SimulatedRail, simulated_rail

MAY = Line("L1", "2026-05-04", "2026-05-15", 1000, rate_code="DAG")


@pytest.fixture
def rail(database: str) -> Iterator[Rail]:
    with staged(database) as playing:
        yield playing


def kvitt(rail: Rail, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["emulator", *arguments, "--database", rail.conninfo], prog_name="kvitt")


def test_a_run_is_played_and_says_what_it_did(rail: Rail) -> None:
    assert rail.ask(order_xml(MAY)) == ["00"]
    assert kvitt(rail, "withhold", PERSON, "--tax", "25").output == f"{PERSON}: 25 % tax, 0 kr AVSUINTE of each run\n"
    done = kvitt(rail, "pay", "--day", "2026-06-16")
    assert (done.exit_code, done.output) == (0, "2026-06-16: 1 cases, 10000 kr paid, 0 kr under recovery\n")
    assert [(row.row_type, row.amount) for row in posted_rows(rail.conn, "AAP", "SAK-1")] == [("YTEL", 10000), ("SKAT", -2500)]
    refused = kvitt(rail, "pay", "--day", "2026-06-14")
    assert refused.exit_code == 1
    assert "2026-06-14 is no bank day; the next one is 2026-06-15" in refused.output


def test_without_a_day_the_next_run_is_played(rail: Rail) -> None:
    today = oslo_day(datetime.now(UTC))
    first = next_bank_day(today)
    assert kvitt(rail, "pay").output.startswith(str(first))
    assert kvitt(rail, "pay").output.startswith(str(next_bank_day(first)))


def test_the_service_is_switched_by_options_and_back(rail: Rail) -> None:
    assert kvitt(rail, "service").output == "the simulation is as it was at first\n"
    options = "--keeps-hours --no-others --fault 0.5 --answers-with no_body --slow 1 --slow-seconds 2"
    shown = kvitt(rail, "service", *options.split())
    assert shown.output.splitlines() == [
        "keeps-hours yes",
        "tells-others no",
        "slow 1",
        "slow-seconds 2.0",
        "fault 0.5",
        "answers-with no_body",
    ]
    assert get_habits(rail.conn) == ServiceHabits(keeps_hours=True, tells_others=False)
    assert get_service_faults(rail.conn) == ServiceFaults(
        slow=Chance(1), slow_seconds=2, fault=Chance(0.5), answers_with=ServiceFault.NO_BODY
    )
    assert "keeps-hours" not in kvitt(rail, "service", "--any-hour", "--form", "prefixed", "--form", "latin_1").output
    assert kvitt(rail, "service", "--clear").output == "the simulation is as it was at first\n"


def test_simulations_are_listed_and_a_violation_is_a_failure(database: str) -> None:
    with simulated_rail(database) as rail:
        _list_simulations(rail)


def _list_simulations(rail: SimulatedRail) -> None:
    assert kvitt(rail, "simulated").output == "the rail was asked for no simulation\n"
    rail.simulate(MAY)
    rail.simulate(MAY, case="SAK-2", change="ENDR")
    listed = kvitt(rail, "simulated", "--json")
    assert listed.exit_code == 0
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [(row["case_id"], row["outcome"], row["note"]) for row in rows] == [
        ("SAK-1", "answered", ""),
        ("SAK-2", "fault", "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før"),
    ]
    add_violations(rail.conn, ViolationKind.ORDER_WHILE_SIMULATING, [(CaseAtRail("AAP", "S"), "m")], rail.now)
    met = kvitt(rail, "simulated", "--last", "1")
    assert (met.exit_code, "AAP S: order while simulating" in met.output) == (1, True)


def test_a_hub_that_plays_the_rail_answers_simulations(database: str) -> None:
    hub = HubProcess(database, Settings(emulator_port=0), ["emulator"])
    assert hub.simulation is not None
    hub.start()
    try:
        with httpx.Client(base_url=hub.simulation.url, timeout=60, trust_env=False) as http:
            while _is_refused(http):
                time.sleep(0.02)
            assert http.get(TOKEN_PATH, auth=("srvkvitt", "secret")).json()["token_type"] == "Bearer"
            assert http.post(SOAP_PATH, content=b"").status_code == 500
    finally:
        hub.stop()


def _is_refused(http: httpx.Client) -> bool:
    """Whether nobody listens yet."""
    try:
        http.get("/")
    except httpx.ConnectError:
        return True
    return False


def test_a_hub_without_the_emulator_has_no_simulation(database: str) -> None:
    hub = HubProcess(database, Settings(), ["relay"])
    assert hub.simulation is None
