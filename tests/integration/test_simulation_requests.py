"""Requests to simulate as rows: made once under a name, refused while the case has an open order, listed, asked again."""

import json
from datetime import timedelta

import pytest

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics
from kvitt.disbursement.acts import Acts, Wanted
from kvitt.disbursement.case import CaseKey
from kvitt.disbursement.preview import preview
from kvitt.disbursement.simulation import FailureReason, NothingComputed, SimulationFailure
from kvitt.disbursement.simulation_requests import (
    SIMULATION_ARCS,
    AskedBy,
    Asker,
    SimulationState,
    ask_again,
    by_call,
    listing,
    questions_of,
    read,
    request,
    request_rows,
    state_after,
    wait,
)
from kvitt.disbursement.values import Order, Scheme
from kvitt.errors import NotFound
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.kernel.rows import write
from kvitt.testing import hub
from support.hub_messages import Json, aap

OPERATOR = Operator("kari", "the rail is open again")
CASE: CaseKey = (Scheme.AAP, "S-1")
RAIL = PORTS.rails.simulating(Scheme.AAP)
assert RAIL is not None


def orders_of(connection: Connection, message: Json) -> tuple[Order, ...]:
    return preview(connection, PORTS, Scheme.AAP, b"k", json.dumps(message).encode(), now=utc_now()).orders


def test_a_request_is_made_once_under_its_name_and_asked_again_under_another(database: str) -> None:
    with hub(conninfo=database) as site:
        orders, asked = orders_of(site.connection, aap("S-1", 500)), by_call("helved", "a caller", call_id="1")
        number = request(site.connection, PORTS.rails, CASE, asked, orders, now=utc_now())
        assert isinstance(number, int)
        assert request(site.connection, PORTS.rails, CASE, asked, orders, now=utc_now()) == number
        stored = wait(site.connection, number, 0.0)
        assert stored is not None
        assert (stored.request.asker, stored.request.state, stored.request.case_id) == (Asker.CALL, SimulationState.REQUESTED, "S-1")
        assert [each.question for each in stored.questions] == [RAIL.encode_simulation(order) for order in orders]
        assert stored.request.is_open
        assert stored.outcome(RAIL) is None
        again = ask_again(site.connection, number, OPERATOR, utc_now())
        repeated = read(site.connection, again)
        assert repeated is not None
        assert [each.question for each in repeated.questions] == [each.question for each in stored.questions]
        listed = listing(site.connection, state=SimulationState.REQUESTED, key=CASE)
        assert [each.request_no for each in listed] == [again, number]
        assert [each.request_no for each in listing(site.connection, before=again)] == [number]
        assert read(site.connection, again + 1) is None
        with pytest.raises(NotFound):
            ask_again(site.connection, again + 1, OPERATOR, utc_now())
        (act,) = Acts(site.connection).listed(Wanted(person="kari"), 10)
        assert (act.act, act.subject, act.reason) == ("simulate again", f"simulation {number}", "the rail is open again")


def test_a_case_with_an_open_order_is_not_asked_about_and_the_text_says_how_long_it_has_been_open(database: str) -> None:
    with hub(conninfo=database) as site:
        site.put(topics.primary_input(Scheme.AAP), "k", aap("S-1", 500))
        site.run("intake")
        orders = orders_of(site.connection, aap("S-1", 600))
        later = site.clock() + timedelta(hours=3)
        refused = request(site.connection, PORTS.rails, CASE, by_call("helved", "a caller"), orders, now=later)
        assert isinstance(refused, SimulationFailure)
        assert refused.reason is FailureReason.ORDER_OPEN
        assert "i 3 timer" in refused.text
        assert listing(site.connection) == []


def test_the_orders_of_a_message_are_one_request_to_check_them(database: str) -> None:
    with hub(conninfo=database) as site:
        orders = orders_of(site.connection, aap("S-1", 500))
        questions = questions_of(RAIL, orders)
        assert not isinstance(questions, SimulationFailure)
        with site.connection.cursor() as cursor:
            write(
                cursor,
                request_rows(AskedBy(Asker.CHECK, "helved", "check 7", 7), 1, RAIL.name, orders=orders, questions=questions, now=utc_now()),
            )
        (order_id,) = site.connection.execute("SELECT order_id::text FROM simulation_questions").fetchone() or ()
        assert order_id == orders[0].order_id


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (FailureReason.ORDER_OPEN, SimulationState.REFUSED),
        (FailureReason.CLOSED, SimulationState.CLOSED),
        (FailureReason.PROXY_CLOSED, SimulationState.CLOSED),
        (FailureReason.TIMED_OUT, SimulationState.FAILED),
    ],
)
def test_an_outcome_ends_a_request(reason: FailureReason, state: SimulationState) -> None:
    assert state_after(SimulationFailure(reason, "")) is state
    assert state_after(NothingComputed()) is SimulationState.ANSWERED
    assert state in SIMULATION_ARCS[SimulationState.REQUESTED]
    assert SIMULATION_ARCS[state] == frozenset()
