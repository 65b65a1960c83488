"""`kvitt submit --dry-run --simulate` and `kvitt simulation`: a person asks the rail, looks at what was asked, and asks once more."""

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result
from lxml import etree

from kvitt.app.hub import HubProcess
from kvitt.app.main import main
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import Chance, ServiceFault, ServiceFaults, set_service_faults
from kvitt.settings import RestSettings, Settings, ThriftSettings
from kvitt.testing import TestServer
from kvitt.testing.scratch import scratch_directory
from support.console_script import EXAMPLES
from support.patience import until

pytestmark = pytest.mark.usefixtures("made_up_people")

FIRST = EXAMPLES / "tp" / "01-work-training-with-two-children.json"
CASE = json.loads(FIRST.read_text("utf-8"))["sakId"]
Json = dict[str, Any]


class AtWork:
    """Commands on the database of a hub that is at work."""

    def __init__(self, conninfo: str, data: Path) -> None:
        self.conninfo, self._where = conninfo, ["--database", conninfo, "--data", str(data)]

    def __call__(self, *words: str | Path | int) -> Result:
        """One command."""
        before, handler = structlog.get_config(), signal.getsignal(signal.SIGTERM)
        try:
            return CliRunner().invoke(main, [*map(str, words), *self._where])
        finally:
            structlog.configure(**before)
            signal.signal(signal.SIGTERM, handler)

    def rows(self, *words: str | int) -> Sequence[Json]:
        """The objects that a command prints as JSON."""
        done = self(*words, "--json")
        assert done.exit_code == 0, done.output
        return [json.loads(each) for each in done.stdout.splitlines()]

    def simulate(self, *more: str) -> Result:
        """A dry run of the first example with the rail's word."""
        return self("submit", FIRST, "--scheme", "tp", "--dry-run", "--simulate", *more)

    def fail(self, **faults: object) -> None:
        """Makes the rail's service fail so; without a word not at all."""
        with connect(self.conninfo) as connection:
            set_service_faults(connection, ServiceFaults(**faults))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kvitt(kvitt_server: TestServer) -> Iterator[AtWork]:
    """A hub at work, all of it in this process."""
    with kvitt_server.database() as conninfo, scratch_directory() as data:
        settings = Settings(
            data=data, database_url=conninfo, emulator_port=0, rest=RestSettings(port=0), thrift=ThriftSettings(port=0), lease_seconds=2.0
        )
        hub = HubProcess(conninfo, settings)
        hub.start()
        at_work = AtWork(conninfo, data)
        until(lambda: at_work("job", "list").exit_code == 0 and "relay" in leases(conninfo), what="the hub did not begin")
        yield at_work
        hub.stop()


def leases(conninfo: str) -> set[str]:
    with connect(conninfo) as connection:
        return {str(row[0]) for row in connection.execute("SELECT lease FROM leases WHERE until > now()")}


@pytest.fixture(scope="module")
def simulated(kvitt: AtWork) -> int:
    """The number of a simulation of the first example."""
    done = kvitt.simulate()
    assert done.exit_code == 0, done.output
    return int(done.stdout.partition("\nsimulation ")[2].partition(":")[0])


def test_a_dry_run_shows_the_orders_and_what_the_rail_says_of_them(kvitt: AtWork, simulated: int) -> None:
    shown = kvitt.simulate().stdout
    assert "would order, area TILTPENG" in shown
    assert "by month (kroner)" in shown
    assert "by day (kroner a day)" in shown
    assert "nothing was stored, nothing was sent" not in shown
    (row,) = kvitt.rows("simulation", "show", simulated)
    assert (row["outcome"], row["asker"], row["caller"], row["case_id"], row["state"]) == (
        "simulation",
        "call",
        "kvitt submit",
        CASE,
        "answered",
    )
    assert row["simulation"]["months"][0]["paid_before_kroner"] == 0
    assert sum(each["new_pay_kroner"] for each in row["simulation"]["months"]) == row["simulation"]["total_kroner"] > 0
    assert not kvitt.rows("order", "list", "--case", CASE)


def test_simulations_are_listed_with_their_ends_and_found_by_their_case(kvitt: AtWork, simulated: int) -> None:
    found = kvitt.rows("simulation", "list", "--scheme", "tp", "--case", f"{CASE[:4]}...", "--state", "answered")
    assert simulated in {each["request_no"] for each in found}
    assert {each["case_id"] for each in found} == {CASE}
    assert [each["request_no"] for each in found] == sorted((each["request_no"] for each in found), reverse=True)
    assert all(each["rail_seconds"] >= 0 and each["ended_at"] for each in found)
    assert CASE in kvitt("simulation", "list").stdout
    assert "nothing of the kind was asked for" in kvitt("simulation", "list", "--message", 4711).stdout
    assert kvitt("simulation", "list", "--case", CASE).exit_code == 2


def test_a_simulation_is_shown_as_a_page_and_as_the_bytes_that_went_and_came(kvitt: AtWork, simulated: int) -> None:
    page = kvitt("simulation", "show", simulated).stdout
    assert CASE in page
    assert json.loads(FIRST.read_text("utf-8"))["personident"] not in page
    for part, root in (("--question", "simulerBeregningRequest"), ("--answer", "Envelope")):
        sent = kvitt("simulation", "show", simulated, part).stdout_bytes
        assert etree.QName(etree.fromstring(sent)).localname == root


def test_the_rail_is_asked_once_more_and_that_is_an_act(kvitt: AtWork, simulated: int) -> None:
    done = kvitt("simulation", "again", simulated, "--by", "kari", "--reason", "the rail is open again")
    assert (done.exit_code, "by month (kroner)" in done.stdout) == (0, True), done.output
    made = int(done.stdout.removeprefix("simulation ").partition(" ")[0])
    assert made > simulated
    first, again = (kvitt.rows("simulation", "show", number)[0] for number in (simulated, made))
    assert again["simulation"] == first["simulation"]
    assert again["caller"] == "kari"
    acts = kvitt.rows("audit", "list", "--person", "kari")
    assert ("simulate again", f"simulation {simulated}") in {(each["act"], each["subject"]) for each in acts}


def test_what_the_rail_refuses_and_what_is_closed_end_the_command_with_the_reason(kvitt: AtWork, simulated: int) -> None:
    kvitt.fail(fault=Chance(probability=1), answers_with=ServiceFault.NO_RUN_PLAN)
    refused = kvitt.simulate()
    assert (refused.exit_code, "no payment run): Kjøreplan mangler" in refused.stdout) == (1, True), refused.output
    kvitt.fail(closed=True)
    closed = kvitt("simulation", "again", simulated, "--by", "kari", "--reason", "is it open by now?")
    assert (closed.exit_code, "there is no simulation (closed" in closed.stdout) == (1, True), closed.output
    kvitt.fail()
    reasons = {each["state"]: each for each in kvitt.rows("simulation", "list")}
    assert {"answered", "closed", "failed"} <= reasons.keys()


def test_a_case_with_an_open_order_is_not_simulated(kvitt: AtWork, simulated: int) -> None:
    assert kvitt("sending", "stop", "--area", "TILTPENG", "--by", "kari", "--reason", "to keep it open").exit_code == 0
    kvitt("submit", FIRST, "--scheme", "tp", "--wait", "1")
    until(lambda: bool(kvitt.rows("order", "list", "--case", CASE)), what="no order was made")
    done = kvitt.simulate()
    assert (done.exit_code, "it can not be simulated (order open): Saken har et åpent oppdrag" in done.stdout) == (1, True), done.output
    assert kvitt("sending", "resume", "--area", "TILTPENG", "--by", "kari", "--approved-by", "ola", "--reason", "enough").exit_code == 0


def test_what_is_not_there_and_what_makes_no_sense_is_refused(kvitt: AtWork) -> None:
    missing = kvitt("simulation", "show", 4711)
    assert (missing.exit_code, "no simulation has the number 4711" in missing.output) == (2, True)
    sent = kvitt("submit", FIRST, "--scheme", "tp", "--simulate")
    assert (sent.exit_code, "--simulate belongs to --dry-run" in sent.output) == (2, True)
