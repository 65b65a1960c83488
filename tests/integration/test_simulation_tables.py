"""Every row of the contracts' tables about simulations, from a server that answers so to the words that a sender hears."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kvitt.contracts.helved.dry_run import answer
from kvitt.contracts.rapid.wire.simulation import http_answer, solution
from kvitt.disbursement.simulation import SimulatedKind, SimulatedPeriod, Simulation, SimulationOutcome
from kvitt.disbursement.simulation_figures import summaries
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.rails.oppdrag.simulation import SimulationClient
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from support import simulation_answers as answers
from support.patience import PATIENCE_SECONDS
from support.simulation_answers import Of, Row
from support.simulation_server import SIMULATION, ScriptedServer, says, scripted_server
from unit import test_dry_run_answers as streams
from unit import test_rapid_simulation as rapid
from unit import test_simulation_figures as figures

THURSDAY = datetime(2026, 1, 15, 12, tzinfo=UTC)
KINDS = {SimulatedKind.RECOVERY: "FEIL", SimulatedKind.ADJUSTMENT: "FEIL", SimulatedKind.COUNTER: "MOTP"}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def client(server: ScriptedServer) -> Iterator[SimulationClient]:
    asking = SimulationClient(server.access(), now=lambda: THURSDAY)
    yield asking
    asking.close()


def asked(server: ScriptedServer, client: SimulationClient, status: int, body: bytes) -> SimulationOutcome:
    """The outcome when the rail answers so."""
    server.scripts = {SIMULATION: [says(body, status)]}
    return client.ask(b"<question/>").result(PATIENCE_SECONDS).outcome


def as_the_rail_writes_it(period: SimulatedPeriod) -> tuple[str, str, list[Of]]:
    rows = [
        Row(str(row.start), f"{row.amount}.00", KINDS.get(row.kind, "YTEL"), row.class_code, end=str(row.end))
        for payment in period.payments
        for row in payment.postings
    ]
    return str(period.start), str(period.end), [Of(rows)]


@pytest.mark.parametrize("name", figures.OF_THE_CONTRACT)
def test_each_row_of_the_table_of_summaries(server: ScriptedServer, client: SimulationClient, name: str) -> None:
    """iverksetting §4.3."""
    case = figures.OF_THE_CONTRACT[name]
    outcome = asked(server, client, 200, answers.computed(*map(as_the_rail_writes_it, case.periods)))
    assert isinstance(outcome, Simulation)
    found = summaries(outcome, figures.TODAY)
    assert [(each.paid_before, each.new_pay, each.back_pay, each.recovery) for each in found] == list(case.months)


@pytest.mark.parametrize(("status", "said", "refusal"), streams.OF_THE_CONTRACT)
def test_each_refusal_of_the_case_streams(
    server: ScriptedServer, client: SimulationClient, status: int, said: bytes, refusal: Refusal
) -> None:
    """helved §4.8, iverksetting §4.7."""
    assert answer(Scheme.AAP, asked(server, client, status, said), streams.TODAY) == refusal


@pytest.mark.parametrize(("status", "said", "expected"), rapid.OF_THE_CONTRACT)
def test_each_outcome_of_the_rapid(
    server: ScriptedServer, client: SimulationClient, status: int, said: bytes, expected: tuple[int, str, str, str]
) -> None:
    """rapid §5.4, §5.1 and §5.2; nothing but an answer that is not there depends on the hours."""
    assert rapid.both(asked(server, client, status, said)) == expected


@pytest.mark.parametrize("said", [rapid.FULL, answers.computed(), answers.empty(), answers.empty("Ingenting å beregne")])
def test_each_simulation_and_none(server: ScriptedServer, client: SimulationClient, said: bytes) -> None:
    outcome, read = asked(server, client, 200, said), read_simulation(200, said)
    assert outcome == read
    assert http_answer(outcome, "c-1").status == (200 if isinstance(outcome, Simulation) else 204)
    assert b'"status":"OK"' in solution(outcome)
