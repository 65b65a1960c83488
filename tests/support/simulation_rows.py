"""Stored simulations as values, for tests of what is shown of them."""

from datetime import UTC, date, datetime, time

from kvitt.disbursement.simulation_requests import Asker, RequestWithQuestions, SimulationState, StoredRequest
from kvitt.disbursement.values import Scheme


def request_of(scheme: str, case_id: str, day: date, state: SimulationState = SimulationState.ANSWERED) -> RequestWithQuestions:
    """A simulation of a case that somebody has asked for on a day."""
    at = datetime.combine(day, time(12), UTC)
    request = StoredRequest(
        request_no=17,
        name="call someone 1",
        asker=Asker.CALL,
        contract="helved",
        message_no=None,
        caller="someone",
        case_no=1,
        scheme=Scheme(scheme),
        case_id=case_id,
        person="01020312345",
        rail="oppdrag",
        state=state,
        requested_at=at,
        deadline=None,
        asked_at=at,
        times_asked=1,
        ended_at=at,
        reason=None,
        note=None,
    )
    return RequestWithQuestions(request, ())
