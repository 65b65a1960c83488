"""One question to the rail's simulation, for tests of its client."""

from datetime import UTC, datetime

from kvitt.disbursement.simulation import (
    Again,
    AskedSimulation,
    FailureReason,
    SimulationFailure,
    Simulator,
)
from kvitt.rails.oppdrag.simulation import SimulationAccess, SimulationClient
from support import simulation_answers as answers
from support.patience import PATIENCE_SECONDS
from support.simulation_server import (
    says,
)

QUESTION = b"<question/>"
OPEN, CLOSED = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 1, 17, 12, tzinfo=UTC)
"""A Thursday, and the Saturday after it."""
ANSWER = says(answers.EXAMPLE)
REFUSED = says(answers.AUTHENTICATION, 500)


def ask(access: SimulationAccess, *, at: datetime = OPEN, again: Again | None = None) -> AskedSimulation:
    """One question to a client of its own."""
    client: Simulator = SimulationClient(access, now=lambda: at)
    try:
        return client.ask(QUESTION, **({"again": again} if again else {})).result(PATIENCE_SECONDS)
    finally:
        client.close()


def reason_of(asked: AskedSimulation) -> FailureReason:
    assert isinstance(asked.outcome, SimulationFailure)
    return asked.outcome.reason
