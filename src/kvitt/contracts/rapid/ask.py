"""Asks for the simulation of an order that a call describes: the question that a need would be, for whoever waits for its row."""

from datetime import datetime, timedelta

from kvitt.contracts.rapid.derive import forwarded_order
from kvitt.contracts.rapid.needs import Need, reconciliation_key
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.simulation import SimulationFailure
from kvitt.disbursement.simulation_requests import by_call, request
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import oslo
from kvitt.kernel.database import Connection


def ask(connection: Connection, rails: Rails, question: Need, caller: str, *, now: datetime, seconds: float) -> int | SimulationFailure:
    """Stores the question and returns the number of its request, or why it is not asked; after so many seconds nobody waits for it.

    Its order is never made, so its number in the case says nothing. Raises psycopg errors.
    """
    order = forwarded_order(question, 1, reconciliation_key(now, 0), oslo(now))
    asked = by_call("rapid", caller, now + timedelta(seconds=seconds))
    return request(connection, rails, (Scheme.SYKEPENGER, question.case_id), asked, [order], now=now)
