"""What a dry run is answered, what the check before sending finds, and what the rail then pays are one, on the whole way of a hub.

For arbitrary histories of corrections every message is simulated as a dry run first, then sent with that simulation named; every order is
simulated once more before it leaves, and any difference would hold it. Now and then a payment run is played.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.helved import topics
from kvitt.contracts.helved.messages import StreamMessage
from kvitt.disbursement.holding import UNCHECKED, HoldKind
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.order_checks import ask_due_checks
from kvitt.disbursement.order_page import CheckShown, OrderShown, order_page
from kvitt.disbursement.simulation_check import NOT_POSTED
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from kvitt.rails.oppdrag.emulator.payments import money_of_cases
from kvitt.settings import CheckSettings, Settings, SimulationSettings
from kvitt.testing import Hub, TestServer, hub
from kvitt.testing.clock import START
from support.hub_messages import body_of
from support.strategies import messages_of
from support.tried import tried

TWO = Operator("kari", "two equal payments are right here", "ola")
DERIVED = [scheme for scheme in Scheme if scheme is not Scheme.SYKEPENGER]
"""The schemes whose lines are ours to make."""
OPEN = timedelta(hours=8)
"""From midnight until the rail answers."""
TABLES = "rail.payment_run CASCADE"
_numbers = count(1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    checks = {scheme.value: CheckSettings(policy="block") for scheme in DERIVED}
    settings = Settings(simulation=SimulationSettings(checks=checks))
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, settings=settings) as made:
        yield made
        assert made.rail.violations() == ()
        made.check()


def orders(site: Hub, case: str) -> list[OrderShown]:
    """The orders of a case, oldest first."""
    found = Operate(site.connection, site.clock, site.ports).orders_of_case(case, list(OrderState))
    return sorted((order_page(site.conninfo, site.ports.rails, each.order_id) for each in found), key=lambda each: each.number)


def questions(site: Hub, key: str, asker: str) -> list[bytes]:
    """What the rail was asked because of a message."""
    query = b"""SELECT q.question FROM simulation_questions AS q JOIN simulation_requests AS r USING (request_no)
                JOIN messages AS m USING (message_no) WHERE m.key = %s AND r.asker = %s ORDER BY r.request_no, q.place"""
    return [bytes(question) for (question,) in site.connection.execute(query, (key.encode(), asker))]


def send(site: Hub, scheme: Scheme, case: str, body: bytes) -> Sequence[OrderShown]:
    """Sends a message with a dry run before it, which it names; returns its orders, which have been accepted."""
    number, known, topic = next(_numbers), len(orders(site, case)), topics.primary_input(scheme)
    seen, key = f"{case}-{number}-dry", f"{case}-{number}"
    site.put(topic, seen, body.replace(b'"dryrun": false', b'"dryrun": true'))
    site.run()
    asked = questions(site, seen, "message")
    site.put(topic, key, body, headers=[("simulering", seen)] if asked else ())
    site.run()
    release(site, case)
    checked = questions(site, key, "check")
    wait_until_posted(site, case)
    made = orders(site, case)[known:]
    assert [(each.state, each.held_for) for each in made if each.state != OrderState.ACCEPTED] == []
    assert {check.finding for each in made for check in each.checks} <= {"agrees"}
    assert checked == asked
    assert len(asked) == len(made)
    return made


def release(site: Hub, case: str) -> None:
    """Lets go what is held because days are paid twice, which histories do; nothing else holds anything."""
    for each in orders(site, case):
        if any(reason.kind is HoldKind.PAID_TWICE for reason in each.held_for):
            assert Operate(site.connection, site.clock, site.ports).release(each.order_id, TWO) == (UNCHECKED,)
    with site.connection.transaction():
        ask_due_checks(site.connection, site.ports, site.clock())
    site.run()


def unposted(site: Hub, case: str) -> list[CheckShown]:
    """The checks that wait until the rail has posted what the case had before."""
    checks = [check for each in orders(site, case) for check in each.checks]
    return [each for each in checks if each.ended_at is None and each.waits_for == NOT_POSTED]


def wait_until_posted(site: Hub, case: str) -> None:
    """Lets the next working day come for them: until then the rail's answers say nothing of what it has not posted (docs/simulation.md)."""
    while waiting := unposted(site, case):
        (due,) = {each.due_at for each in waiting}
        assert due is not None
        assert due > site.clock()
        site.clock.set(due + OPEN)
        with site.connection.transaction():
            assert ask_due_checks(site.connection, site.ports, site.clock()) == len(waiting)
        site.run()


def is_paid(site: Hub, case: str, latest: Mapping[str, OrderShown]) -> None:
    """Plays a payment run; then is paid what the newest check of each area says, on each day that is in it."""
    site.rail.pay()
    for area, order in latest.items():
        at_rail = CaseAtRail(area, case)
        paid = Counter[tuple[str, int]]()
        for money in money_of_cases(site.connection, [at_rail], None)[at_rail].paid:
            paid[money.class_code, money.day.toordinal()] += money.amount
        for part in order.checks[0].picture:
            days = range(part.first_day.toordinal(), part.last_day.toordinal() + 1)
            assert part.simulated_kroner == part.expected_kroner == sum(paid[part.class_code, day] for day in days)


@pytest.mark.parametrize("scheme", DERIVED)
def test_seen_checked_sent_and_paid_are_one(site: Hub, scheme: Scheme) -> None:
    @tried(3)
    @given(messages_of(scheme, largest=4), st.lists(st.booleans(), min_size=4, max_size=4))
    def holds(messages: list[StreamMessage], paid_after: list[bool]) -> None:
        site.clock.set(START)
        site.connection.execute(f"TRUNCATE {TABLES}".encode())
        number = next(_numbers)
        case, person = f"C-{number}", f"{number:011}"
        latest: dict[str, OrderShown] = {}
        for message, pays in zip(messages, paid_after, strict=False):
            body = body_of(message, case).replace(b"01020312345", person.encode())
            latest |= {each.area: each for each in send(site, scheme, case, body)}
            if pays:
                is_paid(site, case, latest)

    holds()
