"""Orders in two areas, each checked before it leaves, and dry runs of the same cases at once: no case has both at the rail."""

import json
from collections.abc import Iterator

import pytest

from kvitt.app.hub import HubProcess
from kvitt.app.roles import roles_of
from kvitt.contracts.helved import topics
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.rails.oppdrag.emulator.faults import Chance
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults, set_service_faults
from kvitt.rails.oppdrag.emulator.watch import simulated, violations
from kvitt.settings import CheckSettings, Settings, SimulationSettings
from kvitt.transports.log.embedded_log import NewRecord, append
from support.hub_messages import payment_uid, text, ts, ts_payment
from support.patience import until

CASES, ROUNDS = 8, 4
TS = topics.primary_input(Scheme.TILLEGGSSTONADER)
BENEFITS = ("BOUTGIFTER_AAP", "TILSYN_BARN_AAP")
"""Of two areas."""


HANDLED = "SELECT count(*) FROM messages WHERE state = 'answered'"
ASKED = "SELECT count(*) FROM simulation_requests WHERE asked_at IS NOT NULL AND asker = 'message'"
CHECKED = "SELECT count(DISTINCT o.area) FROM order_checks AS k JOIN orders AS o USING (order_id) WHERE k.finding = 'agrees'"
UNPUBLISHED = "SELECT count(*) FROM unpublished"


def number_of(connection: Connection, query: str) -> int:
    (number,) = connection.execute(query.encode()).fetchone() or (0,)
    return int(str(number))


@pytest.fixture
def running(database: str) -> Iterator[HubProcess]:
    checks = {Scheme.TILLEGGSSTONADER.value: CheckSettings(policy="block")}
    settings = Settings(database_url=database, emulator_port=0, simulation=SimulationSettings(checks=checks))
    roles = [role for role in roles_of(settings) if role not in ("payouts", "ledger", "scheduler")]
    made = HubProcess(database, settings, roles)
    made.start()
    yield made
    assert made.stop(60.0) == []


def wanted(number: int, case: int, **changes: object) -> bytes:
    """A message about both areas of a case."""
    payments = [ts_payment(payment_uid(f"S-{case}", place), number, benefit=benefit) for place, benefit in enumerate(BENEFITS)]
    return text(ts(f"S-{case}", *payments, **changes))


def dry_runs(number: int, when: str) -> list[NewRecord]:
    """Asks about a change of each case."""
    return [NewRecord(TS, f"S-{n} {number} {when}".encode(), wanted(900 + number, n, dryrun=True)) for n in range(CASES)]


def changes(number: int) -> list[NewRecord]:
    """Changes each case."""
    return [NewRecord(TS, f"S-{n} {number}".encode(), wanted(500 + number, n)) for n in range(CASES)]


def answers(connection: Connection, key: bytes) -> int:
    """How many final answers the sender of a dry run has."""
    found = connection.execute("SELECT topic, value FROM log_records WHERE key = %s AND topic <> %s", (key, TS)).fetchall()
    assert all(topic in (topics.STATUSES, topics.DRY_RUNS[Scheme.TILLEGGSSTONADER]) for topic, _ in found)
    assert all(json.loads(value)["error"]["statusCode"] == 409 for topic, value in found if topic == topics.STATUSES)
    return len(found)


def test_no_case_has_an_order_and_a_simulation_at_the_rail_and_each_dry_run_is_answered_once(running: HubProcess) -> None:
    asked = 0
    with connect(running.conninfo) as connection:
        set_service_faults(connection, ServiceFaults(slow=Chance(probability=0.5), slow_seconds=0.1))
        for number in range(ROUNDS):
            append(connection, dry_runs(number, "a"), utc_now())
            # While some of them are being asked about, so that orders find them there.
            until(lambda: number_of(connection, ASKED) > asked, what="nothing is asked")  # noqa: B023
            append(connection, changes(number) + dry_runs(number, "b"), utc_now())
            until(lambda: number_of(connection, HANDLED) == 3 * CASES * (number + 1), what="messages are not answered")  # noqa: B023
            asked = number_of(connection, ASKED)
        until(lambda: number_of(connection, UNPUBLISHED) == 0, what="not all answers are published")
        keys = [each.key for number in range(ROUNDS) for when in "ab" for each in dry_runs(number, when)]
        assert {answers(connection, key or b"") for key in keys} == {1}
        assert violations(connection) == ()
        assert len(simulated(connection)) >= ROUNDS
        assert number_of(connection, CHECKED) == len(BENEFITS)
    assert check(running.conninfo, running.ports).clean
